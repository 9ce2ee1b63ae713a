package main

import (
	"google.golang.org/grpc/codes"

	pb "orch-engine/orchpb"
)

func (h *handOver) say(m *pb.ToOrchestrator) {
	if h.call != nil {
		m.Epoch = h.epoch
		h.call.send(m)
	}
}

func (h *handOver) sayAccepted() {
	h.say(&pb.ToOrchestrator{Kind: &pb.ToOrchestrator_Accepted{Accepted: &pb.Accepted{
		Instance: h.engine.instance, LastSeq: h.seq, InboxSeen: h.inboxSeen, Confirmation: h.proof.begin()}}})
}

func (h *handOver) sayNeedConfirmation() {
	h.say(&pb.ToOrchestrator{Kind: &pb.ToOrchestrator_NeedConfirmation{NeedConfirmation: &pb.NeedConfirmation{Number: h.proof.ask()}}})
}

func (h *handOver) report(rows ...*pb.Checkpoint) {
	h.sayReport(&pb.Report{Checkpoints: rows})
}

func (h *handOver) sayReport(r *pb.Report) {
	r.InboxSeen = h.inboxSeen
	h.say(&pb.ToOrchestrator{Kind: &pb.ToOrchestrator_Report{Report: r}})
}

func (h *handOver) complete(r *pb.Report) {
	r.End = pb.Report_COMPLETED
	h.end = r
	h.sayReport(r)
}

// With the error of the step that failed first.
func (h *handOver) completeFailed(failure *pb.Checkpoint) {
	value, _ := fromJSON(failure.Error) // noteEnd() has read it before
	if e, ok := value.(map[string]any); ok {
		e["step"] = h.definition.steps[failure.GetStep()].id
	}
	text, _ := toJSON(value)
	h.complete(&pb.Report{State: pb.Report_FAILED, Error: text})
}

func (h *handOver) completeSucceeded() {
	var text []byte
	output, err := h.definition.output(h.scope)
	if err == nil {
		text, err = toJSON(output)
	}
	if err != nil {
		failure := asStepError(err)
		h.complete(&pb.Report{State: pb.Report_FAILED, Error: errorJSON(failure.Code, "output: "+failure.Message)})
		return
	}
	h.complete(&pb.Report{State: pb.Report_SUCCEEDED, Output: text})
}

func (h *handOver) closeCancelled(item *pb.InboxItem) {
	reason := "cancelled"
	if value, err := fromJSON(item.Payload); err == nil {
		if text, ok := value.(string); ok {
			reason = text
		}
	}
	h.close(&pb.Report{State: pb.Report_CANCELLED, Error: errorJSON(codes.Canceled, reason)})
}

func (h *handOver) closeTimedOut() {
	h.close(&pb.Report{State: pb.Report_TIMED_OUT, Error: errorJSON(codes.DeadlineExceeded, "the execution passed its deadline")})
}

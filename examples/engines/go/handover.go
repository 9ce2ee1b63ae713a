package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "orch-engine/orchpb"
)

// One execution on the engine: from its start, or its start again from checkpoints, until the orchestrator is done with it.
//
// Whatever happens takes the mutex, changes the state, and ends with advance(), which sees what is to be done next.
type handOver struct {
	engine *engine
	epoch  *pb.Epoch
	given  *pb.Start

	mu         sync.Mutex
	call       *call // nil: it is detached
	definition *definition
	scope      map[string]any // what templates see
	done       map[string]any // its `steps`
	steps      []stepState
	paused     bool
	inboxSeen  uint64
	seq        uint64
	storedSeq  uint64
	pending    []*pb.Checkpoint // not acknowledged, by seq
	proof      proof
	attaches   uint32     // the highest number of an Attach
	closing    *pb.Report // cancelled, or out of time: how it ends once nothing runs
	end        *pb.Report // the report that it is over
	deadline   *time.Timer
	grace      *time.Timer // while it is detached
	gone       bool
}

type stepState struct {
	end      *pb.Checkpoint // how it ended
	begun    bool
	attempts uint32 // how many began
	beganMs  int64  // the first of them
	stop     context.CancelFunc
	retrying *pb.Checkpoint // the last attempt's, until the next one
	timer    *time.Timer    // until that is due
	due      bool
}

func newHandOver(e *engine, epoch *pb.Epoch, start *pb.Start, c *call) *handOver {
	h := &handOver{engine: e, epoch: epoch, given: start, call: c, paused: start.Paused, inboxSeen: start.InboxSeq}
	if n := len(start.Checkpoints); n > 0 {
		h.seq = start.Checkpoints[n-1].Seq
	}
	h.storedSeq = h.seq
	for _, item := range start.Inbox {
		h.note(item)
	}
	return h
}

func (h *handOver) begin(d *definition) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.definition != nil || h.gone {
		return nil
	}
	input, err := d.input(h.given.Input)
	if err != nil {
		return err
	}
	h.steps = make([]stepState, len(d.steps))
	h.done = map[string]any{}
	h.scope = map[string]any{"input": input, "steps": h.done, "execution": h.describe(d)}
	for _, row := range h.given.Checkpoints {
		if err := h.restore(d, row); err != nil {
			return err
		}
	}
	h.definition = d
	h.watchDeadline()
	h.advance()
	return nil
}

// What another engine has stopped was cancelled, which is in the inbox then, or out of time by that engine's clock.
func (h *handOver) watchDeadline() {
	at := h.given.DeadlineMs
	late := at != 0 && nowMs() >= at
	for place := range h.steps {
		end := h.steps[place].end
		late = late || end != nil && end.Kind == pb.Checkpoint_CANCELLED
	}
	if late {
		h.closeTimedOut()
	} else if at != 0 {
		h.deadline = time.AfterFunc(until(at), h.outOfTime)
	}
}

func (h *handOver) describe(d *definition) map[string]any {
	execution := map[string]any{"id": h.given.ExecutionId, "workflow": d.id, "version": d.version, "run": h.given.Run,
		"accepted_ms": h.given.AcceptedMs}
	if h.given.ParentId != "" {
		execution["parent"] = h.given.ParentId
	}
	return execution
}

// What was done may be another engine's work, which may know more than this one.
func (h *handOver) restore(d *definition, row *pb.Checkpoint) error {
	place, ok := row.StepGiven.(*pb.Checkpoint_Step)
	if !ok || int(place.Step) >= len(h.steps) || row.IndexGiven != nil {
		return unsupported(fmt.Sprintf("what checkpoint %d is of", row.Seq))
	}
	s := &h.steps[place.Step]
	s.begun = true
	if s.beganMs == 0 {
		s.beganMs = row.StartedMs
	}
	switch {
	case statusOf(row) != "":
		return h.noteEnd(d.steps[place.Step].id, row)
	case row.Kind == pb.Checkpoint_RETRYING:
		s.attempts = row.Attempt
		h.awaitRetry(row)
	case row.Kind == pb.Checkpoint_HEARTBEAT:
		s.attempts = row.Attempt - 1 // that attempt begins once more
		s.forgetRetry()
	default:
		return unsupported(fmt.Sprintf("checkpoints of the kind %s", row.Kind))
	}
	return nil
}

// How the step has ended with that checkpoint, or "".
func statusOf(row *pb.Checkpoint) string {
	switch row.Kind {
	case pb.Checkpoint_SUCCEEDED:
		return "succeeded"
	case pb.Checkpoint_FAILED:
		return "failed"
	case pb.Checkpoint_SKIPPED:
		return "skipped"
	case pb.Checkpoint_CANCELLED:
		return "cancelled"
	}
	return ""
}

func (h *handOver) noteEnd(id string, row *pb.Checkpoint) error {
	output, err := fromJSON(row.Output)
	if err != nil {
		return err
	}
	failure, err := fromJSON(row.Error)
	if err != nil {
		return err
	}
	h.done[id] = map[string]any{"status": statusOf(row), "output": output, "error": failure}
	s := &h.steps[row.GetStep()]
	s.forgetRetry()
	s.end = row
	return nil
}

// It ends before all is done: what runs is told to stop, and awaited.
func (h *handOver) close(end *pb.Report) {
	if h.closing != nil || h.end != nil {
		return
	}
	h.closing = end
	h.stopAll()
}

func (h *handOver) stopAll() {
	for place := range h.steps {
		s := &h.steps[place]
		s.forgetRetry()
		if s.stop != nil {
			s.stop()
		}
	}
}

// Forget it: it is over, or somebody else's. Harmless if it is forgotten already.
func (h *handOver) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leave()
}

func (h *handOver) leave() {
	if h.gone {
		return
	}
	h.gone = true
	h.stopAll()
	for _, timer := range []*time.Timer{h.deadline, h.grace} {
		if timer != nil {
			timer.Stop()
		}
	}
	h.engine.forget(h) // whoever sees the call end finds its place free
	if h.call != nil {
		h.call.end()
	}
}

func until(atMs int64) time.Duration { return time.Until(time.UnixMilli(atMs)) }

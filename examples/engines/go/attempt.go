package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	pb "orch-engine/orchpb"
)

func (h *handOver) startAttempt(place int) {
	s, d := &h.steps[place], &h.definition.steps[place]
	ctx, stop := context.WithCancel(context.Background())
	row := &pb.Checkpoint{StepGiven: &pb.Checkpoint_Step{Step: uint32(place)}, Attempt: s.attempts + 1, StartedMs: nowMs()}
	s.forgetRetry()
	s.stop = stop
	s.attempts = row.Attempt
	if !s.begun {
		s.begun, s.beganMs = true, row.StartedMs
	}
	h.say(&pb.ToOrchestrator{Kind: &pb.ToOrchestrator_StepStarted{StepStarted: &pb.StepStarted{
		StepGiven: &pb.StepStarted_Step{Step: uint32(place)}, Attempt: row.Attempt, AtMs: row.StartedMs}}})
	task := Task{StepID: d.id, Attempt: row.Attempt, IdempotencyKey: fmt.Sprintf("%s/%d/%s", h.given.ExecutionId, h.given.Run, d.id)}
	with, err := d.with(h.scope)
	go func() {
		defer stop()
		var output []byte
		if err == nil {
			output, err = execute(ctx, executors[d.executor], with, task)
		}
		h.attemptEnded(row, output, err)
	}()
}

func (h *handOver) attemptEnded(row *pb.Checkpoint, output []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return // nobody wants to know
	}
	h.steps[row.GetStep()].stop = nil
	h.seq++
	row.Seq, row.EndedMs = h.seq, nowMs()
	row.Kind, row.Output = pb.Checkpoint_SUCCEEDED, output
	if err != nil {
		h.attemptFailed(row, asStepError(err))
	}
	if statusOf(row) != "" && h.noteEnd(h.definition.steps[row.GetStep()].id, row) != nil {
		h.leave() // an executor's own MarshalJSON gave what is no JSON
		return
	}
	h.pending = append(h.pending, row)
	if h.call != nil {
		h.proof.onTold(row.Seq)
	}
	h.report(row)
	h.advance()
}

func (h *handOver) attemptFailed(row *pb.Checkpoint, failure *StepError) {
	row.Output, row.Error = nil, errorJSON(failure.Code, failure.Message)
	if h.closing != nil {
		row.Kind = pb.Checkpoint_FAILED
		if failure.Code == codes.Canceled {
			row.Kind = pb.Checkpoint_CANCELLED // that is, it was stopped
		}
		return
	}
	s := &h.steps[row.GetStep()]
	policy := &h.definition.steps[row.GetStep()].retry
	pause, again := policy.next(row.Attempt, failure, time.Duration(row.EndedMs-s.beganMs)*time.Millisecond, random())
	if !again {
		row.Kind = pb.Checkpoint_FAILED
		return
	}
	row.Kind, row.DueMs = pb.Checkpoint_RETRYING, row.EndedMs+pause.Milliseconds()
	h.awaitRetry(row)
}

func (h *handOver) awaitRetry(row *pb.Checkpoint) {
	s := &h.steps[row.GetStep()]
	s.forgetRetry()
	s.retrying = row
	s.timer = time.AfterFunc(until(row.DueMs), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.retrying == row {
			s.due = true
			h.advance()
		}
	})
}

func (s *stepState) forgetRetry() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.retrying, s.timer, s.due = nil, nil, false
}

// From 0 to below 1.
func random() float64 { return float64(randomNumber()>>11) / (1 << 53) }

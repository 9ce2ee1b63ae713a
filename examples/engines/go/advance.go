package main

import (
	pb "orch-engine/orchpb"
)

// After whatever happened: start the steps that are ready, or see that all is over. Not while it is detached.
func (h *handOver) advance() {
	if h.call == nil || h.definition == nil || h.end != nil || h.gone {
		return
	}
	draining := h.engine.isDraining()
	if !h.paused && !draining && h.closing == nil {
		h.startReady()
	}
	now := h.count()
	switch {
	case now.running > 0:
	case now.done == len(h.steps):
		h.completeSucceeded()
	case h.closing != nil:
		h.complete(h.closing)
	case now.failure != nil && now.begun == 0:
		h.completeFailed(now.failure)
	case draining && len(h.pending) == 0:
		h.leave() // its call ends, with OK, without an end: somebody else goes on from its checkpoints
	}
}

func (h *handOver) startReady() {
	ready := h.ready()
	switch {
	case len(ready) == 0:
	case h.proof.holds():
		for _, place := range ready {
			h.startAttempt(place)
		}
	case !h.proof.isAskedFor():
		h.sayNeedConfirmation()
	}
}

func (h *handOver) ready() []int {
	var ready []int
	failed := h.count().failure != nil
	for place := range h.steps {
		s := &h.steps[place]
		switch {
		case s.end != nil || s.stop != nil:
		case s.begun: // it goes on, also if another step has failed
			if s.retrying == nil || s.due && s.retrying.Seq <= h.storedSeq {
				ready = append(ready, place)
			}
		case !failed && h.causesAreStored(place):
			ready = append(ready, place)
		}
	}
	return ready
}

// A cause has to be stored before its effect begins.
func (h *handOver) causesAreStored(place int) bool {
	for _, cause := range h.definition.steps[place].dependsOn {
		if s := &h.steps[cause]; !s.isDone() || s.end.Seq > h.storedSeq {
			return false
		}
	}
	return true
}

func (s *stepState) isDone() bool {
	return s.end != nil && (s.end.Kind == pb.Checkpoint_SUCCEEDED || s.end.Kind == pb.Checkpoint_SKIPPED)
}

type counts struct {
	running, begun, done int
	failure              *pb.Checkpoint // the first one
}

func (h *handOver) count() counts {
	var c counts
	for place := range h.steps {
		s := &h.steps[place]
		switch {
		case s.stop != nil:
			c.running++
		case s.end == nil && s.begun:
			c.begun++
		case s.isDone():
			c.done++
		case s.end != nil && s.end.Kind == pb.Checkpoint_FAILED && (c.failure == nil || s.end.Seq < c.failure.Seq):
			c.failure = s.end
		}
	}
	return c
}

package main

import (
	"time"

	"google.golang.org/grpc/codes"

	pb "orch-engine/orchpb"
)

// How long what runs goes on without an orchestrator.
const detachGrace = 10 * time.Second

// The hand-over is taken; and what is to be said with that.
func (h *handOver) accept(more ...*pb.ToOrchestrator) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sayAccepted()
	for _, m := range more {
		h.say(m)
	}
}

func (h *handOver) onAck(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proof.onStored(seq)
	h.acknowledged(seq)
	h.advance()
}

func (h *handOver) onConfirmation(number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proof.onConfirmation(number)
	h.advance()
}

func (h *handOver) acknowledged(seq uint64) {
	if seq > h.seq {
		return // nothing was reported under that number
	}
	if seq > h.storedSeq {
		h.storedSeq = seq
	}
	for len(h.pending) > 0 && h.pending[0].Seq <= seq {
		h.pending = h.pending[1:]
	}
}

func (h *handOver) onInbox(item *pb.InboxItem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(item)
	h.advance()
}

// Only a cancel: no definition that this engine takes has use for anything else.
func (h *handOver) note(item *pb.InboxItem) {
	if item.Seq > h.inboxSeen {
		h.inboxSeen = item.Seq
	}
	if item.Kind == pb.InboxItem_CANCEL {
		h.closeCancelled(item)
	}
}

func (h *handOver) onPause(paused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused = paused
	h.advance()
}

func (h *handOver) outOfTime() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closeTimedOut()
	h.advance()
}

func (h *handOver) onDrain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.definition == nil {
		h.leave()
		return
	}
	h.advance()
}

// ---- Its calls -------------------------------------------------------------------------------------------

// The orchestrator is done with it.
func (h *handOver) left(c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.call == c {
		h.leave()
	}
}

// Its call broke. What runs goes on for the grace; perhaps nobody comes back for it.
func (h *handOver) detached(c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.call != c || h.gone {
		return // it is attached to another one already
	}
	if h.definition == nil {
		h.leave()
		return
	}
	h.call = nil
	h.grace = time.AfterFunc(detachGrace, h.notMissed)
}

func (h *handOver) notMissed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.call == nil {
		h.leave()
	}
}

// Say again whatever was not acknowledged. NotFound: there is nothing to attach to; Aborted: an older Attach came late.
func (h *handOver) attached(c *call, attach *pb.Attach) codes.Code {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone || h.definition == nil {
		return codes.NotFound
	}
	if attach.Number < h.attaches {
		return codes.Aborted
	}
	h.attaches = attach.Number
	if h.call != nil {
		h.call.end() // of a break that only the orchestrator has noticed
	}
	if h.grace != nil {
		h.grace.Stop()
	}
	h.call = c
	h.acknowledged(attach.StoredSeq)
	h.sayAccepted()
	if len(h.pending) > 0 {
		h.report(h.pending...)
	}
	if h.end != nil {
		h.sayReport(h.end)
	}
	h.advance()
	return codes.OK
}

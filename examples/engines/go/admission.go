package main

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	pb "orch-engine/orchpb"
)

const definitionsKept = 1000

// What became of a definition's text.
type known struct {
	definition *definition
	err        error // why it is refused
}

func (e *engine) take(epoch *pb.Epoch, start *pb.Start, c *call) *handOver {
	h := newHandOver(e, epoch, start, c)
	if code, why := e.admit(h); code != codes.OK {
		e.refuse(c, epoch, code, why)
		return nil
	}
	if k, ok := e.lookUp(start.DefinitionDigest); ok {
		h.accept()
		e.begin(h, c, k)
	} else {
		h.accept(&pb.ToOrchestrator{Kind: &pb.ToOrchestrator_NeedDefinition{NeedDefinition: &pb.NeedDefinition{Digest: start.DefinitionDigest}}})
	}
	return h
}

// An older hand-over of the same execution makes room.
func (e *engine) admit(h *handOver) (codes.Code, string) {
	old, code, why := e.enter(h)
	if old != nil && code == codes.OK {
		old.drop()
	}
	return code, why
}

func (e *engine) enter(h *handOver) (old *handOver, code codes.Code, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old = e.handOvers[h.given.ExecutionKey]
	switch {
	case e.draining:
		return nil, codes.Unavailable, fmt.Sprintf("engine %s is stopping", e.name)
	case old != nil && compare(old.epoch, h.epoch) >= 0:
		return nil, codes.Aborted, fmt.Sprintf("execution %s: a newer hand-over is here already", h.given.ExecutionId)
	case old == nil && len(e.handOvers) >= int(e.capacity):
		return nil, codes.ResourceExhausted, fmt.Sprintf("engine %s is full: %d executions", e.name, len(e.handOvers))
	}
	e.handOvers[h.given.ExecutionKey] = h
	return old, codes.OK, ""
}

func (e *engine) attach(epoch *pb.Epoch, attach *pb.Attach, c *call) *handOver {
	h, code := e.find(attach.ExecutionKey), codes.NotFound
	if h != nil && compare(h.epoch, epoch) == 0 {
		code = h.attached(c, attach)
	}
	switch code {
	case codes.OK:
		return h
	case codes.Aborted:
		e.refuse(c, epoch, code, "a newer attachment is here already")
	default:
		e.refuse(c, epoch, code, fmt.Sprintf("engine %s does not have that hand-over", e.name))
	}
	return nil
}

func (e *engine) refuse(c *call, epoch *pb.Epoch, code codes.Code, why string) {
	c.send(&pb.ToOrchestrator{Epoch: epoch, Kind: &pb.ToOrchestrator_Refused{Refused: &pb.Refused{
		Code: int32(code), Instance: e.instance, Message: why}}})
	c.end()
}

// ---- Definitions -----------------------------------------------------------------------------------------

func (e *engine) lookUp(digest []byte) (known, bool) {
	var key [sha256.Size]byte
	copy(key[:], digest)
	e.mu.Lock()
	defer e.mu.Unlock()
	k, ok := e.definitions[key]
	return k, ok
}

func (e *engine) define(h *handOver, c *call, text []byte) {
	digest := sha256.Sum256(text)
	if string(digest[:]) != string(h.given.DefinitionDigest) {
		e.giveUp(h, c, codes.DataLoss, "another definition came than was asked for")
		return
	}
	var k known
	k.definition, k.err = readDefinition(text)
	e.keep(digest, k)
	e.begin(h, c, k)
}

func (e *engine) keep(digest [sha256.Size]byte, k known) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for other := range e.definitions {
		if len(e.definitions) < definitionsKept {
			break
		}
		delete(e.definitions, other) // any one: it can be asked for again
	}
	e.definitions[digest] = k
}

// What this engine does not know of a definition, or of what was done by another one, no engine of its kind could run.
func (e *engine) begin(h *handOver, c *call, k known) {
	err := k.err
	if err == nil {
		err = h.begin(k.definition)
	}
	if err == nil {
		return
	}
	code := codes.DataLoss
	var what unsupported
	if errors.As(err, &what) {
		code = codes.InvalidArgument
	}
	e.giveUp(h, c, code, err.Error())
}

// To refuse what was accepted. Whoever hears of it finds its place free.
func (e *engine) giveUp(h *handOver, c *call, code codes.Code, why string) {
	e.forget(h)
	e.refuse(c, h.epoch, code, why)
	h.drop()
}

// ---- Which there are -------------------------------------------------------------------------------------

func (e *engine) find(key uint64) *handOver {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.handOvers[key]
}

func (e *engine) forget(h *handOver) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.handOvers[h.given.ExecutionKey] != h {
		return // another one has replaced it
	}
	delete(e.handOvers, h.given.ExecutionKey)
	if e.draining && len(e.handOvers) == 0 {
		close(e.empty)
	}
}

func (e *engine) all() []*handOver {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*handOver, 0, len(e.handOvers))
	for _, h := range e.handOvers {
		all = append(all, h)
	}
	return all
}

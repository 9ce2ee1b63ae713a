package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"sort"
	"sync"
	"time"

	pb "orch-engine/orchpb"
)

// The service. What it does not override, which is StreamEvents, answers UNIMPLEMENTED.
type engine struct {
	pb.UnimplementedEngineServiceServer
	name      string
	capacity  uint32
	instance  uint64
	startedMs int64

	mu          sync.Mutex // taken with a hand-over's held, never the other way round
	handOvers   map[uint64]*handOver
	definitions map[[sha256.Size]byte]known // kept for later executions
	draining    bool
	empty       chan struct{} // closed once it drains and the last hand-over is gone
}

func newEngine(name string, capacity uint32) *engine {
	return &engine{name: name, capacity: capacity, instance: randomNumber() | 1, startedMs: nowMs(), handOvers: map[uint64]*handOver{},
		definitions: map[[sha256.Size]byte]known{}, empty: make(chan struct{})}
}

// ---- The service's methods -------------------------------------------------------------------------------

func (e *engine) Execute(stream pb.EngineService_ExecuteServer) error {
	c := newCall()
	go e.read(stream, c) // ends with the call at the latest
	return c.writeTo(stream)
}

func (e *engine) StopWorkflow(_ context.Context, r *pb.StopWorkflowRequest) (*pb.StopWorkflowResponse, error) {
	h := e.find(r.ExecutionKey)
	if h == nil || compare(r.Epoch, h.epoch) < 0 {
		return &pb.StopWorkflowResponse{}, nil
	}
	h.drop()
	return &pb.StopWorkflowResponse{Stopped: true}, nil
}

func (e *engine) GetEngineStatus(context.Context, *pb.GetEngineStatusRequest) (*pb.EngineStatus, error) {
	names := make([]string, 0, len(executors))
	for name := range executors {
		names = append(names, name)
	}
	sort.Strings(names)
	e.mu.Lock()
	defer e.mu.Unlock()
	active := len(e.handOvers)
	return &pb.EngineStatus{Name: e.name, Instance: e.instance, Capacity: e.capacity, Active: uint32(active), Draining: e.draining,
		Executors: names, StartedMs: e.startedMs, Utilisation: float64(active) / float64(e.capacity)}, nil
}

// ---- What comes down a call ------------------------------------------------------------------------------

// The end of what comes is that the orchestrator is done with the hand-over; an error is that the call broke.
func (e *engine) read(stream pb.EngineService_ExecuteServer, c *call) {
	defer c.end()
	var h *handOver
	for {
		m, err := receiveWhole(stream)
		if err == nil {
			h = e.hear(m, h, c)
			continue
		}
		if h != nil && errors.Is(err, io.EOF) {
			h.left(c)
		} else if h != nil {
			h.detached(c)
		}
		return
	}
}

// The first message says which hand-over the call is of. Kinds that are not known here may come from later orchestrators.
func (e *engine) hear(m *pb.ToEngine, h *handOver, c *call) *handOver {
	if h == nil {
		switch kind := m.Kind.(type) {
		case *pb.ToEngine_Start:
			return e.take(m.Epoch, kind.Start, c)
		case *pb.ToEngine_Attach:
			return e.attach(m.Epoch, kind.Attach, c)
		}
		return nil
	}
	if compare(m.Epoch, h.epoch) != 0 {
		return h
	}
	switch kind := m.Kind.(type) {
	case *pb.ToEngine_Definition:
		e.define(h, c, kind.Definition.Text)
	case *pb.ToEngine_Ack:
		h.onAck(kind.Ack.Seq)
	case *pb.ToEngine_Inbox:
		h.onInbox(kind.Inbox)
	case *pb.ToEngine_Pause:
		h.onPause(kind.Pause.Paused)
	case *pb.ToEngine_Confirmation:
		h.onConfirmation(kind.Confirmation.Number)
	case *pb.ToEngine_Stop:
		h.drop()
	}
	return h
}

// ---- Draining --------------------------------------------------------------------------------------------

// Take nothing more, let running steps end, hand back what is left to do; all of it once the grace is over.
func (e *engine) drain(grace time.Duration) {
	e.mu.Lock()
	e.draining = true
	if len(e.handOvers) == 0 {
		close(e.empty)
	}
	e.mu.Unlock()
	for _, h := range e.all() {
		h.onDrain()
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-e.empty:
	case <-timer.C:
	}
	for _, h := range e.all() {
		h.drop()
	}
}

func (e *engine) isDraining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

// ---- Small things ----------------------------------------------------------------------------------------

func compare(a, b *pb.Epoch) int {
	switch {
	case a.GetTerm() < b.GetTerm(), a.GetTerm() == b.GetTerm() && a.GetCounter() < b.GetCounter():
		return -1
	case a.GetTerm() == b.GetTerm() && a.GetCounter() == b.GetCounter():
		return 0
	}
	return 1
}

func nowMs() int64 { return time.Now().UnixMilli() }

func randomNumber() uint64 {
	var number [8]byte
	if _, err := rand.Read(number[:]); err != nil {
		panic(err) // there is no such system
	}
	return binary.LittleEndian.Uint64(number[:])
}

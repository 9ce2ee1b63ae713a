package main

import (
	"sync"

	pb "orch-engine/orchpb"
)

// One Execute call: what is to be said in it, in order. Nobody who says something waits for the network.
type call struct {
	mu     sync.Mutex
	queue  []*pb.ToOrchestrator
	closed bool
	wake   chan struct{} // holds one: something is new
}

func newCall() *call {
	return &call{wake: make(chan struct{}, 1)}
}

func (c *call) send(m *pb.ToOrchestrator) {
	c.mu.Lock()
	if !c.closed {
		c.queue = append(c.queue, m)
	}
	c.mu.Unlock()
	c.touch()
}

// The call ends, with OK, after all that was sent.
func (c *call) end() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.touch()
}

func (c *call) touch() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *call) take() ([]*pb.ToOrchestrator, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.queue
	c.queue = nil
	return taken, c.closed
}

func (c *call) writeTo(stream pb.EngineService_ExecuteServer) error {
	for {
		select {
		case <-c.wake:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		messages, closed := c.take()
		for _, m := range messages {
			if err := sendWhole(stream, m); err != nil {
				return err
			}
		}
		if closed {
			return nil
		}
	}
}

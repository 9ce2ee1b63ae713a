package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	pb "orch-engine/orchpb"
)

// An engine, and the test as its orchestrator.
type rig struct {
	t      *testing.T
	engine *engine
	client pb.EngineServiceClient
	next   chan *attempt // attempts of the executor "held"
}

// An attempt that ends when the test says so.
type attempt struct {
	Task
	ctx  context.Context
	with string
	end  chan error
}

func newRig(t *testing.T, capacity uint32) *rig {
	before := runtime.NumGoroutine()
	r := &rig{t: t, engine: newEngine("e", capacity), next: make(chan *attempt, 10)}
	executors["held"] = func(ctx context.Context, with json.RawMessage, task Task) (any, error) {
		a := &attempt{task, ctx, string(with), make(chan error)}
		r.next <- a
		select {
		case err := <-a.end:
			return task.Attempt, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	server, _ := newServer(r.engine)
	listener := bufconn.Listen(1 << 16)
	go server.Serve(listener)
	connection, err := grpc.NewClient("passthrough:e", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	r.client = pb.NewEngineServiceClient(connection)
	t.Cleanup(func() {
		for _, h := range r.engine.all() {
			h.drop()
		}
		connection.Close()
		server.Stop()
		delete(executors, "held")
		r.eventually("its goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return r
}

func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for until := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			r.t.Fatalf("%s: not within ten seconds", what)
		}
	}
}

// The next attempt that began.
func (r *rig) began() *attempt {
	r.t.Helper()
	select {
	case a := <-r.next:
		return a
	case <-time.After(10 * time.Second):
		r.t.Fatal("no attempt begins")
		return nil
	}
}

func (r *rig) nothingBegan() {
	r.t.Helper()
	if len(r.next) > 0 {
		r.t.Fatalf("%+v began", (<-r.next).Task)
	}
}

// ---- A hand-over's call ----------------------------------------------------------------------------------

type conversation struct {
	r          *rig
	epoch      *pb.Epoch
	definition string
	stream     pb.EngineService_ExecuteClient
	breakOff   context.CancelFunc
	sending    sync.Mutex
	came       chan came
	silent     atomic.Bool // it confirms nothing
}

type came struct {
	m   *pb.ToOrchestrator
	err error
}

func (r *rig) open(counter uint64, definition string) *conversation {
	r.t.Helper()
	ctx, breakOff := context.WithTimeout(context.Background(), 20*time.Second)
	stream, err := r.client.Execute(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(breakOff)
	c := &conversation{r: r, epoch: &pb.Epoch{Term: 1, Counter: counter}, definition: definition, stream: stream, breakOff: breakOff,
		came: make(chan came, 100)}
	go c.receive()
	return c
}

// Questions for proof are answered at once, whatever the test waits for.
func (c *conversation) receive() {
	for {
		m, err := c.stream.Recv()
		c.came <- came{m, err}
		if err != nil {
			return
		}
		if number := m.GetAccepted().GetConfirmation() + m.GetNeedConfirmation().GetNumber(); number != 0 && !c.silent.Load() {
			c.confirm(number)
		}
	}
}

func (c *conversation) recv() (*pb.ToOrchestrator, error) {
	next := <-c.came
	return next.m, next.err
}

func (c *conversation) send(m *pb.ToEngine) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	m.Epoch = c.epoch
	return c.stream.Send(m)
}

// The call may be over meanwhile.
func (c *conversation) confirm(number uint64) {
	_ = c.send(&pb.ToEngine{Kind: &pb.ToEngine_Confirmation{Confirmation: &pb.Confirmation{Number: number}}})
}

func (c *conversation) say(m *pb.ToEngine) {
	c.r.t.Helper()
	if err := c.send(m); err != nil {
		c.r.t.Fatal(err)
	}
}

// All that was said before has been heard.
func (c *conversation) roundTrip() {
	c.r.t.Helper()
	h := c.r.engine.find(42)
	item := &pb.InboxItem{Seq: h.seen() + 1}
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Inbox{Inbox: item}})
	c.r.eventually("it is heard", func() bool { return h.seen() == item.Seq })
}

func (h *handOver) seen() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inboxSeen
}

func (c *conversation) ack(seq uint64) {
	c.r.t.Helper()
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Ack{Ack: &pb.Ack{Seq: seq}}})
}

func (c *conversation) pause(paused bool) {
	c.r.t.Helper()
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Pause{Pause: &pb.Pause{Paused: paused}}})
}

func (c *conversation) cancel(reason string) {
	c.r.t.Helper()
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Inbox{Inbox: &pb.InboxItem{Seq: 7, Kind: pb.InboxItem_CANCEL, Payload: []byte(reason)}}})
}

// It asks whether it may go on, and says nothing else before.
func (c *conversation) asked() uint64 {
	c.r.t.Helper()
	m, err := c.recv()
	if err != nil || m.GetNeedConfirmation() == nil {
		c.r.t.Fatalf("%v, %v instead of a question", m, err)
	}
	return m.GetNeedConfirmation().Number
}

// What it says, but for steps that start, and questions for proof.
func (c *conversation) hear() *pb.ToOrchestrator {
	c.r.t.Helper()
	var gathered []byte
	for {
		m, err := c.recv()
		if err != nil {
			c.r.t.Fatal(err)
		}
		if proto.Size(m) > partBytes+100 {
			c.r.t.Fatalf("a message of %d bytes", proto.Size(m))
		}
		if part := m.GetPart(); part != nil {
			if gathered = append(gathered, part.Data...); part.More {
				continue
			}
			m = new(pb.ToOrchestrator)
			if err := proto.Unmarshal(gathered, m); err != nil {
				c.r.t.Fatal(err)
			}
		}
		if compare(m.Epoch, c.epoch) != 0 {
			c.r.t.Fatalf("not of its epoch: %v", m)
		}
		if m.GetStepStarted() == nil && m.GetNeedConfirmation() == nil {
			return m
		}
	}
}

func (c *conversation) start(start *pb.Start) *pb.Accepted {
	c.r.t.Helper()
	digest := sha256.Sum256([]byte(c.definition))
	start.ExecutionId, start.ExecutionKey, start.Run, start.DefinitionDigest = "x", 42, 1, digest[:]
	c.sayInParts(&pb.ToEngine{Epoch: c.epoch, Kind: &pb.ToEngine_Start{Start: start}})
	accepted := c.hear().GetAccepted()
	if accepted == nil || accepted.Instance == 0 {
		c.r.t.Fatalf("not accepted: %v", accepted)
	}
	if _, known := c.r.engine.lookUp(digest[:]); !known {
		if need := c.hear().GetNeedDefinition(); string(need.GetDigest()) != string(digest[:]) {
			c.r.t.Fatalf("it asks for %v", need)
		}
		c.say(&pb.ToEngine{Kind: &pb.ToEngine_Definition{Definition: &pb.Definition{Digest: digest[:], Text: []byte(c.definition)}}})
	}
	return accepted
}

// A small message may come in parts, too.
func (c *conversation) sayInParts(m *pb.ToEngine) {
	c.r.t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		c.r.t.Fatal(err)
	}
	for size := len(data)/3 + 1; len(data) > size; data = data[size:] {
		c.say(&pb.ToEngine{Kind: &pb.ToEngine_Part{Part: &pb.Part{Data: data[:size], More: true}}})
	}
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Part{Part: &pb.Part{Data: data}}})
}

func (c *conversation) attach(storedSeq uint64) {
	c.r.t.Helper()
	c.attachNumbered(storedSeq, 0)
}

func (c *conversation) attachNumbered(storedSeq uint64, number uint32) {
	c.r.t.Helper()
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Attach{Attach: &pb.Attach{ExecutionKey: 42, StoredSeq: storedSeq, Number: number}}})
}

// The next report has that one checkpoint.
func (c *conversation) checkpoint(seq uint64, kind pb.Checkpoint_Kind) *pb.Checkpoint {
	c.r.t.Helper()
	m := c.hear()
	rows := m.GetReport().GetCheckpoints()
	if len(rows) != 1 || rows[0].Seq != seq || rows[0].Kind != kind {
		c.r.t.Fatalf("%v instead of checkpoint %d, %s", m, seq, kind)
	}
	return rows[0]
}

// The next report says that it is over.
func (c *conversation) completed(state pb.Report_State, output, failure string) {
	c.r.t.Helper()
	r := c.hear().GetReport()
	if r.GetEnd() != pb.Report_COMPLETED || r.State != state || string(r.Output) != output || string(r.Error) != failure {
		c.r.t.Fatalf("%v instead of %s", r, state)
	}
}

func (c *conversation) refused(code int32, what string) {
	c.r.t.Helper()
	if r := c.hear().GetRefused(); r.GetCode() != code || !strings.Contains(r.Message, what) {
		c.r.t.Fatalf("%v instead of code %d, %s", r, code, what)
	}
	c.over()
}

// The engine ends the call, with OK, and has said nothing more than that steps start.
func (c *conversation) over() {
	c.r.t.Helper()
	m, err := c.recv()
	for err == nil && (m.GetStepStarted() != nil || m.GetNeedConfirmation() != nil) {
		m, err = c.recv()
	}
	if err != io.EOF {
		c.r.t.Fatalf("%v, %v instead of the end", m, err)
	}
}

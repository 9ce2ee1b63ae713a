package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "orch-engine/orchpb"
)

const (
	chain = `{"id":"chain","version":"1.0.0","steps":[{"id":"a","executor":"held","with":"${input.n}","retry":{"initial_interval":"1ms"}},
	{"id":"b","executor":"held","depends_on":["a"],"with":"a gave ${steps.a.output}"}],"output":"${steps.b.output}"}`
	large = `{"id":"large","version":"1.0.0","steps":[{"id":"a","executor":"echo","with":"${input.t}"}]}`
)

func TestACauseIsStoredBeforeItsEffectBegins(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{Input: []byte(`{"n":1.50}`)})
	a := r.began()
	if a.with != "1.50" || a.Attempt != 1 || a.IdempotencyKey != "x/1/a" {
		t.Fatalf("%+v", a)
	}
	a.end <- nil
	c.checkpoint(1, pb.Checkpoint_SUCCEEDED)
	c.pause(false) // whatever comes but the Ack
	c.ack(9)       // nothing was reported under that number
	status, err := r.client.GetEngineStatus(c.stream.Context(), &pb.GetEngineStatusRequest{})
	if err != nil || status.Active != 1 || status.Capacity != 1 || status.Utilisation != 1 || status.Draining {
		t.Fatalf("%v, %v", status, err)
	}
	r.nothingBegan()
	c.ack(1)
	b := r.began()
	if b.with != `"a gave 1"` {
		t.Fatalf("%+v", b)
	}
	b.end <- nil
	c.checkpoint(2, pb.Checkpoint_SUCCEEDED)
	c.completed(pb.Report_SUCCEEDED, "1", "")
	c.stream.CloseSend()
	c.over()
	if r.engine.find(42) != nil {
		t.Fatal("it is not forgotten")
	}
}

func TestFailuresAreTriedAgainOnceTheyAreStored(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{})
	r.began().end <- &StepError{Code: codes.Unavailable, Message: "no"}
	row := c.checkpoint(1, pb.Checkpoint_RETRYING)
	if row.DueMs < row.EndedMs || string(row.Error) != `{"code":"UNAVAILABLE","message":"no"}` {
		t.Fatal(row)
	}
	r.eventually("it is due", func() bool { return r.engine.find(42).isDue(0) })
	r.nothingBegan()
	c.ack(1)
	if a := r.began(); a.Attempt != 2 || a.IdempotencyKey != "x/1/a" {
		t.Fatalf("%+v", a)
	} else {
		a.end <- &StepError{Code: codes.NotFound, Message: "never", Final: true}
	}
	c.checkpoint(2, pb.Checkpoint_FAILED)
	c.completed(pb.Report_FAILED, "", `{"code":"NOT_FOUND","message":"never","step":"a"}`)
}

func TestAfterAFailureWhatHasBegunGoesOnAndNothingElseBegins(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, `{"id":"many","version":"1.0.0","steps":[{"id":"a","executor":"held","retry":{"initial_interval":"1ms"}},
	{"id":"b","executor":"held"},{"id":"c","executor":"held","depends_on":["d"]},{"id":"d","executor":"held"}]}`)
	c.start(&pb.Start{})
	began := map[string]*attempt{}
	for len(began) < 3 {
		next := r.began()
		began[next.StepID] = next
	}
	began["a"].end <- &StepError{Code: codes.Unavailable, Message: "no"}
	c.checkpoint(1, pb.Checkpoint_RETRYING)
	began["b"].end <- &StepError{Code: codes.NotFound, Message: "never"}
	c.checkpoint(2, pb.Checkpoint_FAILED)
	began["d"].end <- nil
	c.checkpoint(3, pb.Checkpoint_SUCCEEDED)
	c.ack(3) // now a may go on, and c could begin
	a := r.began()
	if a.StepID != "a" || a.Attempt != 2 {
		t.Fatalf("%+v", a)
	}
	a.end <- nil
	c.checkpoint(4, pb.Checkpoint_SUCCEEDED)
	c.completed(pb.Report_FAILED, "", `{"code":"NOT_FOUND","message":"never","step":"b"}`)
}

func (h *handOver) isDue(place int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.steps[place].due
}

func TestARestoredRetryWaitsForItsTime(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	due := nowMs() + 300
	c.start(&pb.Start{Checkpoints: []*pb.Checkpoint{{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 0}, Attempt: 2, Kind: pb.Checkpoint_RETRYING, DueMs: due}}})
	if a := r.began(); a.Attempt != 3 || nowMs() < due {
		t.Fatalf("attempt %d, %d ms before it is due", a.Attempt, due-nowMs())
	}
}

func TestAnAttemptThatHadSaidThatItLivesBeginsOnceMore(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{Checkpoints: []*pb.Checkpoint{
		{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 0}, Attempt: 1, Kind: pb.Checkpoint_RETRYING, DueMs: 1},
		{Seq: 2, StepGiven: &pb.Checkpoint_Step{Step: 0}, Attempt: 2, Kind: pb.Checkpoint_HEARTBEAT, Output: []byte(`1`)}}})
	if a := r.began(); a.Attempt != 2 {
		t.Fatalf("%+v", a)
	}
}

func TestWhatIsDoneIsNotDoneAgain(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	accepted := c.start(&pb.Start{InboxSeq: 5, Checkpoints: []*pb.Checkpoint{
		{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 0}, Attempt: 1, Kind: pb.Checkpoint_RETRYING, DueMs: 1},
		{Seq: 2, StepGiven: &pb.Checkpoint_Step{Step: 0}, Attempt: 2, Kind: pb.Checkpoint_SUCCEEDED, Output: []byte(`{"x":1}`)}}})
	if accepted.LastSeq != 2 || accepted.InboxSeen != 5 {
		t.Fatal(accepted)
	}
	b := r.began()
	if b.StepID != "b" || b.with != `"a gave {\"x\":1}"` {
		t.Fatalf("%+v", b)
	}
	b.end <- nil
	c.checkpoint(3, pb.Checkpoint_SUCCEEDED)
	c.completed(pb.Report_SUCCEEDED, "1", "")
}

func TestABrokenCallIsAttachedAgain(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{})
	a := r.began()
	c.breakOff()
	r.eventually("it is detached", func() bool { return r.engine.find(42).isDetached() })
	a.end <- nil
	other := r.open(1, chain)
	other.attach(0)
	if accepted := other.hear().GetAccepted(); accepted == nil {
		t.Fatal("not accepted")
	}
	other.checkpoint(1, pb.Checkpoint_SUCCEEDED)
	r.nothingBegan()

	third := r.open(1, chain) // of a break that the engine has not seen
	third.attach(1)
	if accepted := third.hear().GetAccepted(); accepted.GetLastSeq() != 1 {
		t.Fatal(accepted)
	}
	other.over()
	r.began().end <- nil
	third.checkpoint(2, pb.Checkpoint_SUCCEEDED)
	third.completed(pb.Report_SUCCEEDED, "1", "")

	fourth := r.open(1, chain)
	fourth.attach(1)
	fourth.hear()
	fourth.checkpoint(2, pb.Checkpoint_SUCCEEDED)
	fourth.completed(pb.Report_SUCCEEDED, "1", "")
	r.nothingBegan()
}

func (h *handOver) isDetached() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.call == nil
}

func TestEpochs(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(2, chain)
	c.start(&pb.Start{})
	old := r.began()
	for counter := uint64(1); counter <= 2; counter++ {
		same := r.open(counter, chain)
		same.say(&pb.ToEngine{Kind: &pb.ToEngine_Start{Start: &pb.Start{ExecutionKey: 42}}})
		same.refused(int32(codes.Aborted), "newer")
	}
	other := r.open(1, chain)
	other.attach(0)
	other.refused(int32(codes.NotFound), "does not have")
	full := r.open(3, chain)
	full.say(&pb.ToEngine{Kind: &pb.ToEngine_Start{Start: &pb.Start{ExecutionKey: 43}}})
	full.refused(int32(codes.ResourceExhausted), "full")

	newer := r.open(3, chain)
	newer.start(&pb.Start{})
	<-old.ctx.Done()
	c.over()
	r.began().end <- nil
	newer.checkpoint(1, pb.Checkpoint_SUCCEEDED)
	stopped, err := r.client.StopWorkflow(newer.stream.Context(), &pb.StopWorkflowRequest{ExecutionKey: 42, Epoch: c.epoch})
	if err != nil || stopped.Stopped {
		t.Fatal(stopped, err)
	}
	newer.say(&pb.ToEngine{Kind: &pb.ToEngine_Stop{Stop: &pb.Stop{}}})
	newer.over()
}

func TestPause(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{Paused: true})
	c.pause(false)
	a := r.began()
	c.pause(true)
	r.eventually("it pauses", r.engine.find(42).isPaused)
	a.end <- nil
	c.checkpoint(1, pb.Checkpoint_SUCCEEDED)
	c.ack(1)
	r.eventually("it is stored", func() bool { return r.engine.find(42).hasStored(1) })
	r.nothingBegan()
	c.pause(false)
	r.began()
}

func (h *handOver) isPaused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paused
}

func (h *handOver) hasStored(seq uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.storedSeq == seq
}

func TestCancel(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{})
	r.began()
	c.cancel(`"enough"`)
	if row := c.checkpoint(1, pb.Checkpoint_CANCELLED); !strings.Contains(string(row.Error), `"CANCELLED"`) {
		t.Fatal(row)
	}
	c.completed(pb.Report_CANCELLED, "", `{"code":"CANCELLED","message":"enough"}`)
}

func TestDeadline(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{DeadlineMs: nowMs() + 1000})
	<-r.began().ctx.Done()
	c.checkpoint(1, pb.Checkpoint_CANCELLED)
	c.completed(pb.Report_TIMED_OUT, "", `{"code":"DEADLINE_EXCEEDED","message":"the execution passed its deadline"}`)
}

func TestWhatIsOutOfTimeStartsNothing(t *testing.T) {
	for _, start := range []*pb.Start{
		{DeadlineMs: nowMs()},
		{Checkpoints: []*pb.Checkpoint{{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 0}, Attempt: 1, Kind: pb.Checkpoint_CANCELLED}}},
	} {
		r := newRig(t, 1)
		c := r.open(1, chain)
		c.start(start)
		c.completed(pb.Report_TIMED_OUT, "", `{"code":"DEADLINE_EXCEEDED","message":"the execution passed its deadline"}`)
		r.nothingBegan()
	}
}

func TestAStepMayFailAlsoWhileItIsCancelled(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, `{"id":"one","version":"1.0.0","steps":[{"id":"s","executor":"stubborn","retry":{}}]}`)
	executors["stubborn"] = func(ctx context.Context, _ json.RawMessage, task Task) (any, error) {
		r.next <- &attempt{Task: task}
		<-ctx.Done()
		return nil, status.Error(codes.Unavailable, "no")
	}
	defer delete(executors, "stubborn")
	c.start(&pb.Start{})
	r.began()
	c.cancel(`"enough"`)
	if row := c.checkpoint(1, pb.Checkpoint_FAILED); string(row.Error) != `{"code":"UNAVAILABLE","message":"no"}` {
		t.Fatal(row)
	}
	c.completed(pb.Report_CANCELLED, "", `{"code":"CANCELLED","message":"enough"}`)
}

func TestDraining(t *testing.T) {
	r := newRig(t, 2)
	c := r.open(1, chain)
	c.start(&pb.Start{})
	a := r.began()
	drained := make(chan bool)
	go func() {
		r.engine.drain(time.Minute)
		close(drained)
	}()
	r.eventually("it drains", r.engine.isDraining)
	late := r.open(1, chain)
	late.say(&pb.ToEngine{Kind: &pb.ToEngine_Start{Start: &pb.Start{ExecutionKey: 43}}})
	late.refused(int32(codes.Unavailable), "stopping")
	a.end <- nil
	c.checkpoint(1, pb.Checkpoint_SUCCEEDED)
	c.ack(1)
	c.over() // handed back
	<-drained
	r.nothingBegan()
}

func TestLargeMessagesComeInParts(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, large)
	text := `"` + strings.Repeat("x", 3_000_000) + `"`
	c.start(&pb.Start{Input: []byte(`{"t":` + text + `}`)})
	if row := c.checkpoint(1, pb.Checkpoint_SUCCEEDED); string(row.Output) != text {
		t.Fatal(len(row.Output))
	}
	c.completed(pb.Report_SUCCEEDED, "null", "")
}

func TestAnotherDefinitionThanAskedForIsRefused(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Start{Start: &pb.Start{ExecutionKey: 42, DefinitionDigest: make([]byte, 32)}}})
	c.hear()
	c.hear()
	c.say(&pb.ToEngine{Kind: &pb.ToEngine_Definition{Definition: &pb.Definition{Digest: make([]byte, 32), Text: []byte(chain)}}})
	c.refused(int32(codes.DataLoss), "another definition")
	if r.engine.find(42) != nil {
		t.Fatal("it keeps its place")
	}
}

func TestWhatAnotherEngineKnowsIsRefused(t *testing.T) {
	for _, row := range []*pb.Checkpoint{
		{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 0}, Kind: pb.Checkpoint_WAITING},
		{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 0}, IndexGiven: &pb.Checkpoint_Index{Index: 0}, Kind: pb.Checkpoint_SUCCEEDED},
		{Seq: 1, StepGiven: &pb.Checkpoint_Step{Step: 2}, Kind: pb.Checkpoint_SUCCEEDED},
		{Seq: 1, Kind: pb.Checkpoint_CLOSING},
	} {
		r := newRig(t, 1)
		c := r.open(1, chain)
		c.start(&pb.Start{Checkpoints: []*pb.Checkpoint{row}})
		c.refused(int32(codes.InvalidArgument), "checkpoint")
		r.nothingBegan()
	}
}

package main

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "orch-engine/orchpb"
)

func TestWhatIsProof(t *testing.T) {
	var p proof
	long := time.Now().Add(-proofLasts)
	expect := func(what string, holds bool) {
		t.Helper()
		if p.holds() != holds {
			t.Fatalf("%s: %v", what, !holds)
		}
	}
	expect("nothing", false)
	number := p.begin()
	expect("a question", false)
	p.onConfirmation(number + 1)
	expect("the answer to another one", false)
	p.onConfirmation(number)
	expect("an answer", true)
	p.since = long
	expect("an answer of long ago", false)
	p.onConfirmation(number)
	expect("the same answer again", false)
	number = p.ask()
	p.asked = long
	p.onConfirmation(number)
	expect("a late answer", false)
	p.onTold(4)
	p.onTold(5)
	p.onStored(3)
	expect("what was stored before", false)
	p.onStored(5)
	expect("what is stored", true)
	p.onTold(6)
	p.since, p.told = long, long
	p.onTold(7)
	p.onStored(7)
	expect("what was told long ago", false)
	p.since = time.Now()
	number = p.begin()
	expect("proof of another call", false)
	p.onConfirmation(number - 1)
	expect("an answer to another call", false)
}

// An hour by the wall clock is one, whatever the steady one says.
func TestTimeInWhichTheMachineSleptCounts(t *testing.T) {
	if a := age(time.Now().Round(0).Add(-time.Hour)); a < time.Hour {
		t.Fatal(a)
	}
}

func TestNoStepStartsBeforeTheConfirmation(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.silent.Store(true)
	number := c.start(&pb.Start{}).Confirmation
	if number == 0 {
		t.Fatal("it does not ask")
	}
	c.confirm(number + 1)
	c.pause(false)
	c.roundTrip()
	r.nothingBegan()
	c.confirm(number)
	r.began()
}

func TestWhatIsTooOldIsAskedForAgain(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{})
	a := r.began()
	c.silent.Store(true)
	a.end <- &StepError{Code: codes.Unavailable, Message: "no"}
	c.checkpoint(1, pb.Checkpoint_RETRYING)
	h := r.engine.find(42)
	r.eventually("it is due", func() bool { return h.isDue(0) })
	h.mu.Lock()
	h.proof.since, h.proof.told = time.Time{}, time.Time{} // as if two seconds had passed
	h.mu.Unlock()
	c.ack(1)
	number := c.asked()
	r.nothingBegan()
	h.mu.Lock()
	h.proof.asked = h.proof.asked.Add(-proofLasts)
	h.mu.Unlock()
	c.confirm(number) // too late
	number = c.asked()
	r.nothingBegan()
	c.confirm(number)
	if again := r.began(); again.Attempt != 2 {
		t.Fatalf("%+v", again)
	}
}

func TestAnOlderAttachmentThatComesLateIsRefused(t *testing.T) {
	r := newRig(t, 1)
	c := r.open(1, chain)
	c.start(&pb.Start{})
	r.began()
	newer, older := r.open(1, chain), r.open(1, chain)
	newer.attachNumbered(0, 2)
	if newer.hear().GetAccepted() == nil {
		t.Fatal("not accepted")
	}
	older.attachNumbered(0, 1)
	older.refused(int32(codes.Aborted), "newer")
}

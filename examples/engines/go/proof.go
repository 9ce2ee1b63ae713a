package main

import "time"

// Without proof that a hand-over still stands no step of it starts: "Proof" in engine.proto.
const proofLasts = 2 * time.Second

type proof struct {
	number  uint64    // of the last question
	asked   time.Time // when that went; zero: it is answered
	toldSeq uint64    // of a checkpoint that is not acknowledged, and ...
	told    time.Time // ... when it went; zero: there is none
	since   time.Time // what was said then has been answered; zero: nothing was
}

// A call came: what was proven on another counts no more. The number for Accepted.
func (p *proof) begin() uint64 {
	p.told, p.since = time.Time{}, time.Time{}
	return p.ask()
}

func (p *proof) ask() uint64 {
	p.number++
	p.asked = time.Now()
	return p.number
}

func (p *proof) isAskedFor() bool { return !p.asked.IsZero() }

func (p *proof) holds() bool { return !p.since.IsZero() && age(p.since) < proofLasts }

func (p *proof) onConfirmation(number uint64) {
	if p.isAskedFor() && number == p.number {
		p.extend(p.asked)
		p.asked = time.Time{}
	}
}

// For the first time: what goes again may have been acknowledged before.
func (p *proof) onTold(seq uint64) {
	if p.told.IsZero() {
		p.toldSeq, p.told = seq, time.Now()
	}
}

func (p *proof) onStored(seq uint64) {
	if !p.told.IsZero() && seq >= p.toldSeq {
		p.extend(p.told)
		p.told = time.Time{}
	}
}

func (p *proof) extend(since time.Time) {
	if since.After(p.since) {
		p.since = since
	}
}

// Go's steady clock stands still while the machine sleeps, the other one does not.
func age(t time.Time) time.Duration {
	now := time.Now()
	steady, wall := now.Sub(t), now.Round(0).Sub(t.Round(0))
	if wall > steady {
		return wall
	}
	return steady
}

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
)

type retryPolicy struct {
	MaxAttempts     uint32       `json:"max_attempts"`
	InitialInterval duration     `json:"initial_interval"`
	Backoff         float64      `json:"backoff"`
	MaxInterval     *duration    `json:"max_interval"`
	MaxElapsed      duration     `json:"max_elapsed"` // 0: no limit
	Jitter          float64      `json:"jitter"`
	NonRetryable    []codes.Code `json:"non_retryable"`
}

var retryKeys = set("max_attempts", "initial_interval", "backoff", "max_interval", "max_elapsed", "jitter", "non_retryable")

func readRetry(text json.RawMessage) (retryPolicy, error) {
	if len(text) == 0 {
		return retryPolicy{MaxAttempts: 1}, nil
	}
	p := retryPolicy{MaxAttempts: 3, InitialInterval: duration(time.Second), Backoff: 2, Jitter: 0.2}
	err := json.Unmarshal(text, &p)
	return p, err
}

// How long it is to the next attempt, after that one; false: it was the last. `random` is from 0 to below 1.
func (p *retryPolicy) next(attempt uint32, failure *StepError, elapsed time.Duration, random float64) (time.Duration, bool) {
	if attempt >= p.MaxAttempts || failure.Final {
		return 0, false
	}
	for _, c := range p.NonRetryable {
		if c == failure.Code {
			return 0, false
		}
	}
	factor := math.Min(math.Pow(p.Backoff, float64(attempt-1)), math.MaxFloat64)
	interval := math.Min(float64(p.InitialInterval)*factor, float64(p.longest()))
	pause := time.Duration(interval * (1 - p.Jitter*(1-random))).Truncate(time.Millisecond)
	if p.MaxElapsed > 0 && elapsed+pause > time.Duration(p.MaxElapsed) {
		return 0, false
	}
	return pause, true
}

// The default gives way to a longer initial_interval.
func (p *retryPolicy) longest() duration {
	switch {
	case p.MaxInterval != nil:
		return *p.MaxInterval
	case p.InitialInterval > duration(time.Minute):
		return p.InitialInterval
	}
	return duration(time.Minute)
}

// Of 200ms, 1h30m, 3d, or 0.
type duration time.Duration

var (
	wholeDuration = regexp.MustCompile(`^(0|(\d+(ms|[smhd]))+)$`)
	durationPart  = regexp.MustCompile(`(\d+)(ms|[smhd])`)
	units         = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if !wholeDuration.MatchString(text) {
		return fmt.Errorf("'%s' is not a duration", text)
	}
	var sum time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		number, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil {
			return err
		}
		sum += time.Duration(number) * units[part[2]]
	}
	*d = duration(sum)
	return nil
}

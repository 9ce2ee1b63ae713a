package main

import (
	"encoding/json"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func policy(t *testing.T, text string) retryPolicy {
	t.Helper()
	p, err := readRetry([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func TestRetries(t *testing.T) {
	unavailable := &StepError{Code: codes.Unavailable}
	for _, c := range []struct {
		policy  string
		attempt uint32
		failure *StepError
		elapsed time.Duration
		random  float64
		wanted  time.Duration // -1: it was the last
	}{
		{``, 1, unavailable, 0, 0.5, -1},
		{`{}`, 1, unavailable, 0, 0, 800 * time.Millisecond},
		{`{}`, 2, unavailable, 0, 0.5, 1800 * time.Millisecond},
		{`{}`, 3, unavailable, 0, 0.5, -1},
		{`{"jitter":0}`, 2, unavailable, 0, 0, 2 * time.Second},
		{`{"jitter":1}`, 1, unavailable, 0, 0, 0},
		{`{"max_attempts":100,"jitter":0}`, 50, unavailable, 0, 0, time.Minute},
		{`{"max_attempts":1000000,"jitter":0,"backoff":100,"initial_interval":"0"}`, 999999, unavailable, 0, 0, 0},
		{`{"max_attempts":1000000,"jitter":0,"backoff":100}`, 999999, unavailable, 0, 0, time.Minute},
		{`{"initial_interval":"1d2h","jitter":0}`, 2, unavailable, 0, 0, 26 * time.Hour},
		{`{"initial_interval":"10ms","max_interval":"15ms","jitter":0}`, 2, unavailable, 0, 0, 15 * time.Millisecond},
		{`{"backoff":1,"jitter":0}`, 2, unavailable, 0, 0, time.Second},
		{`{"non_retryable":["NOT_FOUND","UNAVAILABLE"]}`, 1, unavailable, 0, 0, -1},
		{`{"non_retryable":["CANCELLED"]}`, 1, &StepError{Code: codes.Canceled}, 0, 0, -1},
		{`{"non_retryable":["NOT_FOUND"],"jitter":0}`, 1, unavailable, 0, 0, time.Second},
		{`{}`, 1, &StepError{Code: codes.Unavailable, Final: true}, 0, 0, -1},
		{`{"max_elapsed":"3s","jitter":0}`, 2, unavailable, time.Second, 0, 2 * time.Second},
		{`{"max_elapsed":"3s","jitter":0}`, 2, unavailable, 1001 * time.Millisecond, 0, -1},
	} {
		p := policy(t, c.policy)
		got, again := p.next(c.attempt, c.failure, c.elapsed, c.random)
		if again != (c.wanted >= 0) || again && got != c.wanted {
			t.Errorf("%s after attempt %d: %v, %v instead of %v", c.policy, c.attempt, got, again, c.wanted)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, wanted := range map[string]time.Duration{
		"0": 0, "200ms": 200 * time.Millisecond, "5s": 5 * time.Second, "1h30m": 90 * time.Minute, "3d": 72 * time.Hour, "1m1ms": 60001 * time.Millisecond,
	} {
		var d duration
		if err := json.Unmarshal([]byte(`"`+text+`"`), &d); err != nil || time.Duration(d) != wanted {
			t.Errorf("%s: %v (%v)", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{`""`, `"5"`, `"1.5s"`, `"s"`, `"1w"`, `"5s "`, `"-1s"`, `5`, `"5s0"`} {
		var d duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %v", text, time.Duration(d))
		}
	}
}

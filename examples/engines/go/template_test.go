package main

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

var testScope = map[string]any{
	"input": map[string]any{"n": mustJSON(`12345678901234567890`), "f": mustJSON(`1.0`), "text": "<a> & b", "list": mustJSON(`[1,[2,"x"]]`),
		"nothing": nil, "a-b": mustJSON(`{"}": "brace", "it's": 1}`)},
	"steps": map[string]any{"x.y": map[string]any{"status": "succeeded", "output": mustJSON(`{"ok":true}`), "error": nil}},
}

func mustJSON(text string) any {
	value, err := fromJSON([]byte(text))
	if err != nil {
		panic(err)
	}
	return value
}

func evaluate(t *testing.T, text string) (string, error) {
	t.Helper()
	made, err := readTemplate([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	value, err := made(testScope)
	if err != nil {
		return "", err
	}
	result, err := toJSON(value)
	return string(result), err
}

func TestTemplates(t *testing.T) {
	for text, wanted := range map[string]string{
		``:                                    `null`,
		`"${input.n}"`:                        `12345678901234567890`,
		`"${ input.f }"`:                      `1.0`,
		`" ${input.f}"`:                       `" 1.0"`,
		`{"a":["${input.text}",{"b":1e400}]}`: `{"a":["<a> & b",{"b":1e400}]}`,
		`"${input.list[2][2]}"`:               `"x"`,
		`"${input.list[3]}"`:                  `null`,
		`"${input.list[0]}"`:                  `null`,
		`"${input.missing}"`:                  `null`,
		`"<${input.nothing}>"`:                `"<>"`,
		`"${input.list} $${x} ${input.n}"`:    `"[1,[2,\"x\"]] ${x} 12345678901234567890"`,
		`"${input[\"a-b\"][\"}\"]}"`:          `"brace"`,
		`"${input['a-b'][\"it's\"]}!"`:        `"1!"`,
		`"${steps[\"x.y\"].output.ok}"`:       `true`,
		`"${steps[\"x.y\"].error}"`:           `null`,
		`"${steps.later}"`:                    `null`,
		`"${item}${index}"`:                   `""`,
		`"$${input.n}"`:                       `"${input.n}"`,
		`"$ {} }"`:                            `"$ {} }"`,
	} {
		if got, err := evaluate(t, text); err != nil || got != wanted {
			t.Errorf("%s: %s (%v) instead of %s", text, got, err, wanted)
		}
	}
}

func TestPathsThatLeadNowhereFailTheStepForGood(t *testing.T) {
	for text, wanted := range map[string]string{
		`"${input.text.x}"`:        "`input.text.x`: a string has no member 'x'",
		`"a ${input.missing.x}"`:   "`input.missing.x`: null has no member 'x'",
		`["${input.list.x}"]`:      "`input.list.x`: a list has no member 'x'",
		`{"a":"${input[1]}"}`:      "`input[1]`: an object has no element [1]",
		`"${steps.later.output}"`:  "`steps.later.output`: null has no member 'output'",
		`"${input.n[1]}"`:          "`input.n[1]`: a number has no element [1]",
		`"${item[\"x\"]}"`:         "`item[\"x\"]`: null has no member 'x'",
		`"${input.list[1].x} and"`: "`input.list[1].x`: a number has no member 'x'",
	} {
		_, err := evaluate(t, text)
		var failure *StepError
		if !errors.As(err, &failure) || !failure.Final || failure.Code != codes.InvalidArgument || failure.Message != wanted {
			t.Errorf("%s: %v instead of %s", text, err, wanted)
		}
	}
}

func TestWhatIsMoreThanAPathIsRefused(t *testing.T) {
	for _, expression := range []string{`input.n + 1`, `#input.list`, `steps`, `steps[1]`, `secrets.x`, `input["\n"]`, `input["a\"}"]`, ``, `inputs.x`,
		`input.1`, `input[1`, `'it'..[[']]`, `{a={}}`} {
		for _, text := range []string{"${" + expression + "}", "text ${" + expression + "}"} {
			_, err := compileTemplate(text)
			var what unsupported
			if !errors.As(err, &what) || !strings.Contains(string(what), "expression") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// Plain paths: input.a.b, steps["x-y"].output.list[1]. More than a path would need Lua.
var (
	pathPattern    = regexp.MustCompile(`^(input|steps|execution|item|index)((?:\.[A-Za-z_]\w*|\["[^"\\\n]*"\]|\['[^'\\\n]*'\]|\[\d{1,18}\])*)$`)
	segmentPattern = regexp.MustCompile(`\.(\w+)|\["([^"]*)"\]|\['([^']*)'\]|\[(\d+)\]`)
)

// A member of an object, or a place in a list.
type segment struct {
	name   string
	place  int // from 1
	isName bool
}

func compilePath(text string) (template, error) {
	whole := pathPattern.FindStringSubmatch(strings.TrimSpace(text))
	if whole == nil {
		return nil, unsupported("the expression ${" + text + "}")
	}
	segments := []segment{{name: whole[1], isName: true}}
	for _, s := range segmentPattern.FindAllStringSubmatch(whole[2], -1) {
		place, err := strconv.Atoi(s[4])
		segments = append(segments, segment{s[1] + s[2] + s[3], place, err != nil})
	}
	if whole[1] == "steps" && (len(segments) == 1 || !segments[1].isName) {
		return nil, unsupported("the expression ${" + text + "}")
	}
	return func(scope map[string]any) (any, error) {
		var value any = scope
		for _, s := range segments {
			var ok bool
			if value, ok = s.of(value); !ok {
				return nil, &StepError{Code: codes.InvalidArgument, Message: fmt.Sprintf("`%s`: %s has no %s", text, nameOf(value), s), Final: true}
			}
		}
		return value, nil
	}, nil
}

// What is missing in an object or a list is null. False, and the value itself: it is neither, or not the one that the segment is of.
func (s segment) of(value any) (any, bool) {
	switch of := value.(type) {
	case map[string]any:
		if s.isName {
			return of[s.name], true
		}
	case []any:
		if !s.isName {
			if s.place >= 1 && s.place <= len(of) {
				return of[s.place-1], true
			}
			return nil, true
		}
	}
	return value, false
}

func (s segment) String() string {
	if s.isName {
		return "member '" + s.name + "'"
	}
	return fmt.Sprintf("element [%d]", s.place)
}

func nameOf(value any) string {
	switch value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	}
	return "null"
}

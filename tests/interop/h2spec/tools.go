//go:build tools

// Pins, in go.mod, the version of h2spec and of what it is built with.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"

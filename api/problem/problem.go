// Package problem is the error catalogue: everything Isthmus can complain about, once, with
// its code, meaning and remedy. Codes are never reused; docs/errors.md is made from [Catalogue].
//
// A problem reaches the person who can act: as the reason and message of a condition on the
// object that caused it, or as the text of an error.
package problem

import (
	"fmt"
	"strings"
)

// Problem is one entry of the catalogue.
type Problem struct {
	// Code is "ISM" and four digits: 1xxx intent, 2xxx joining, 3xxx hub, 4xxx edge, 5xxx agent.
	Code string
	// Reason is the reason of a condition, CamelCase, unique like the code.
	Reason string
	// Meaning in one sentence.
	Meaning string
	// Remedy in one sentence: what to do now.
	Remedy string
}

// Error is a problem that happened: the catalogue's entry, and where and why.
type Error struct {
	Problem
	// Detail names the object, field or peer, and the cause.
	Detail string
	// Err is the cause, if another error is.
	Err error
}

// Because makes an error of a problem; format and args give the detail.
func (p Problem) Because(format string, args ...any) *Error {
	err := &Error{Problem: p, Detail: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			err.Err = cause
		}
	}
	return err
}

// Parse is the error whose text came over a wire; nil if it is none of the catalogue.
func Parse(text string) *Error {
	code, message, _ := strings.Cut(text, ": ")
	for _, p := range Catalogue {
		if p.Code == code {
			return &Error{Problem: p, Detail: strings.TrimSuffix(message, ". "+p.Remedy)}
		}
	}
	return nil
}

// Message is the detail and the remedy, for a condition.
func (e *Error) Message() string { return e.Detail + ". " + e.Remedy }

// Error is the code and the message, for a terminal or a log.
func (e *Error) Error() string { return e.Code + ": " + e.Message() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Package ratespb is the generated code of the shop's currency service ("make generate").
package ratespb

// Package machinepb is the generated code of the protocol between edge and agents ("make generate");
// machine.proto says what it means.
package machinepb

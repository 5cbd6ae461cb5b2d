// Package machine is the protocol between an agent and its zone's edge: how a machine joins, renews
// its certificate and attends. Messages and stubs are in machinepb, generated from machine.proto.
package machine

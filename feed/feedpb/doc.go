// Package feedpb is the generated code of the protocol between hub and edges ("make generate");
// feed.proto says what it means.
package feedpb

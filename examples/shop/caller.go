package main

import "strings"

// callerOf reads the URI of the nearest client certificate from an X-Forwarded-Client-Cert header.
// Each proxy adds one element, the last one being the nearest; an element is "Key=Value" joined by
// semicolons, and a value that holds a comma, semicolon or equals sign is in double quotes with
// backslash escapes.
func callerOf(header string) string {
	elements := splitQuoted(header, ',')
	for _, pair := range splitQuoted(elements[len(elements)-1], ';') {
		if key, value, ok := strings.Cut(pair, "="); ok && strings.EqualFold(strings.TrimSpace(key), "URI") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// splitQuoted splits at separators outside of double quotes; it returns at least one part.
func splitQuoted(text string, separator byte) (parts []string) {
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

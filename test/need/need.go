// Package need says what becomes of a test where what it needs is missing: elsewhere it is skipped, under CI it fails, as
// a skip there would pass in silence. Tests of every room may import it; it imports the standard library only.
package need

import (
	"os"
	"testing"
)

// Missing ends the test. The words tell what is missing and, where there is a cure, what it is.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()

	if os.Getenv("CI") != "" {
		t.Fatalf("MISSING, which CI must have: "+format, args...)
	}

	t.Skipf("NOT TESTED: "+format, args...)
}

package build

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func writeResult(dir string) error {
	return os.WriteFile(filepath.Join(dir, "result"), []byte("made"), 0o600)
}

func TestCacheMakesAResultOnce(t *testing.T) {
	c := cache{t.TempDir()}

	first, hit, err := c.result("components", "a", "key", writeResult)
	if hit || err != nil {
		t.Fatalf("first time: hit %v, error %v", hit, err)
	}

	second, hit, err := c.result("components", "a", "key", func(string) error { return errors.New("made again") })
	if !hit || err != nil || second != first {
		t.Errorf("second time: %s, hit %v, error %v; want %s from the cache", second, hit, err, first)
	}
}

func TestCacheKeepsNothingOfAFailure(t *testing.T) {
	c := cache{t.TempDir()}
	broken := errors.New("broken")

	_, _, err := c.result("components", "a", "key", func(dir string) error {
		return errors.Join(writeResult(dir), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want %v", err, broken)
	}

	left, err := os.ReadDir(filepath.Join(c.dir, "components", "a"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, error %v", left, err)
	}
}

func TestCacheForgetsWhatWasUsedLongestAgo(t *testing.T) {
	c := cache{t.TempDir()}
	start := time.Now().Add(-time.Hour)

	for age, key := range []string{"a", "b", "c"} {
		dir, _, err := c.result("components", "x", key, writeResult)
		if err != nil {
			t.Fatal(err)
		}

		at := start.Add(time.Duration(age) * time.Minute)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}

	// a is the oldest, but used again; so b goes when d comes.
	for _, key := range []string{"a", "d"} {
		if _, _, err := c.result("components", "x", key, writeResult); err != nil {
			t.Fatal(err)
		}
	}

	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		_, err := os.Stat(filepath.Join(c.dir, "components", "x", key))
		if there := err == nil; there != want {
			t.Errorf("result %s is there: %v, want %v", key, there, want)
		}
	}
}

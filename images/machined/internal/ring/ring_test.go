package ring_test

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bronze-os/bronze/images/machined/internal/ring"
)

func TestReaderStartsWhereItIsAsked(t *testing.T) {
	for _, tc := range []struct {
		name  string
		size  int
		write []string
		tail  int
		want  string
	}{
		{"all of it", 16, []string{"one\n", "two\n"}, -1, "one\ntwo\n"},
		{"last line", 16, []string{"one\n", "two\n"}, 1, "two\n"},
		{"more lines than there are", 16, []string{"one\n", "two\n"}, 9, "one\ntwo\n"},
		{"no line", 16, []string{"one\n"}, 0, ""},
		{"unfinished line", 16, []string{"one\ntw"}, 1, "tw"},
		{"only the newest bytes are kept", 4, []string{"one\n", "two\n"}, -1, "two\n"},
		{"one write larger than the buffer", 3, []string{"abcdef"}, -1, "def"},
		{"writes that wrap", 5, []string{"abc", "def", "gh"}, -1, "defgh"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			buffer := ring.New(tc.size)

			for _, text := range tc.write {
				if n, err := buffer.Write([]byte(text)); n != len(text) || err != nil {
					t.Fatalf("Write(%q) = %d, %v", text, n, err)
				}
			}

			got, err := io.ReadAll(buffer.Reader(t.Context(), false, tc.tail))
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFollowingReaderSeesLaterWritesUntilClose(t *testing.T) {
	buffer := ring.New(64)
	reader := buffer.Reader(t.Context(), true, -1)
	read := make(chan string)

	go func() {
		all, _ := io.ReadAll(reader)
		read <- string(all)
	}()

	for _, text := range []string{"one\n", "two\n"} {
		if _, err := buffer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}

	if err := buffer.Close(); err != nil {
		t.Fatal(err)
	}

	if got := <-read; got != "one\ntwo\n" {
		t.Errorf("read %q", got)
	}
}

func TestFollowingReaderEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reader := ring.New(8).Reader(ctx, true, -1)

	cancel()

	if n, err := reader.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v, want 0, EOF", n, err)
	}
}

package main

import "testing"

func TestMemoryIsReadInTheUsualForms(t *testing.T) {
	for text, want := range map[string]mebibytes{
		"2048": 2048, "2048MiB": 2048, "2048m": 2048, "2GiB": 2048, "2g": 2048, "2Gi": 2048, "1.5GiB": 1536,
		"1t": 1 << 20, "1048576k": 1024, "2GB": 1907, "512MB": 488,
	} {
		t.Run(text, func(t *testing.T) {
			var got mebibytes
			if err := got.Set(text); err != nil || got != want {
				t.Errorf("%d MiB (%v), want %d", got, err, want)
			}
		})
	}
}

func TestMemoryRefusesWhatIsNoAmount(t *testing.T) {
	for _, text := range []string{"", "0", "-1", "2x", "g", "2gg", "lots"} {
		t.Run(text, func(t *testing.T) {
			var got mebibytes
			if err := got.Set(text); err == nil {
				t.Errorf("read as %d MiB", got)
			}
		})
	}
}

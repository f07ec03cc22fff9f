package provision

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLockNamesItsHolder(t *testing.T) {
	store := openTestStore(t)
	lock, err := store.Lock("dev")
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Lock("dev")
	var held *HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() || held.Cluster != "dev" {
		t.Errorf("second Lock = %v, want a HeldError with process %d", err, os.Getpid())
	}
	other, err := store.Lock("other")
	if err != nil {
		t.Errorf("another cluster's lock: %v", err)
	} else if err := other.Release(); err != nil {
		t.Error(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Lock("dev")
	if err != nil {
		t.Fatalf("after Release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
}

func TestReleaseLeavesNoFile(t *testing.T) {
	store := openTestStore(t)
	lock, err := store.Lock("dev")
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(store.Dir())
	if err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestALockDiesWithItsProcess(t *testing.T) {
	store := openTestStore(t)
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"="+store.Dir())
	output, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "held\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	_, err = store.Lock("dev")
	var held *HeldError
	if !errors.As(err, &held) || held.PID != holder.Process.Pid {
		t.Errorf("Lock = %v, want a HeldError with process %d", err, holder.Process.Pid)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// It ends with the signal that killed it.
	if err := holder.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
	lock, err := store.Lock("dev")
	if err != nil {
		t.Fatalf("after kill -9: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestALockIsHeldByOneAtATime(t *testing.T) {
	store := openTestStore(t)
	var inside, entered atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				lock, err := store.Lock("dev")
				if err != nil {
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				entered.Add(1)
				inside.Add(-1)
				if err := lock.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if entered.Load() == 0 {
		t.Error("nobody ever got the lock")
	}
}

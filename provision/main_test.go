package provision

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// holdVariable makes the test binary a process that holds a lock until it is killed.
const holdVariable = "BRONZE_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		fmt.Println(hold(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// hold says that it holds the lock and waits to be killed.
func hold(dir string) error {
	store, err := OpenStore(dir)
	if err != nil {
		return err
	}
	if _, err := store.Lock("dev"); err != nil {
		return err
	}
	fmt.Println("held")
	select {}
}

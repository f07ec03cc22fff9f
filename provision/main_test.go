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
		os.Exit(hold(dir))
	}
	goleak.VerifyTestMain(m)
}

func hold(dir string) int {
	store, err := OpenStore(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if _, err := store.Lock("dev"); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	select {}
}

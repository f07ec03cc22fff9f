package site

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// run tells what the process printed where it failed.
func run(command *exec.Cmd) error {
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s: %w: %s", strings.Join(command.Args, " "), err, lastLines(output))
	}
	return nil
}

// linesKept is how many lines of a process that failed are told.
const linesKept = 5

func lastLines(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return strings.Join(lines[max(0, len(lines)-linesKept):], "; ")
}

// isStep tells a line of stderr that tells of a finished step: it begins with how long that took.
func isStep(line string) bool {
	return regexp.MustCompile(`^ *[0-9]+\.[0-9] s  `).MatchString(line)
}

// dying runs a command of bronze and kills it with SIGKILL as soon as it has told n finished steps. finished tells that
// it ended well before that.
func dying(command *exec.Cmd, n int) (finished bool, err error) {
	stderr, err := command.StderrPipe()
	if err != nil {
		return false, err
	}
	if err := command.Start(); err != nil {
		return false, fmt.Errorf("cannot start %s: %w", command.Path, err)
	}
	var told bytes.Buffer
	killed := false
	steps := 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&told, lines.Text())
		if !isStep(lines.Text()) {
			continue
		}
		if steps++; steps == n {
			killed = true
			if err := command.Process.Kill(); err != nil {
				return false, errors.Join(fmt.Errorf("cannot kill %s: %w", command.Path, err), command.Wait())
			}
		}
	}
	err = command.Wait()
	if killed {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("running %s: %w: %s", strings.Join(command.Args, " "), err, lastLines(told.Bytes()))
	}
	return true, nil
}

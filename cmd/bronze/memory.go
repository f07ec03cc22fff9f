package main

import (
	"fmt"
	"strconv"
	"strings"
)

// mebibytes is a flag for an amount of memory.
type mebibytes int64

// String is the flag's value; nothing for 0, which help then does not call a default.
func (m *mebibytes) String() string {
	if *m == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*m), 10) + "MiB"
}

// Type is what help calls the value.
func (m *mebibytes) Type() string { return "size" }

// Set reads "2048" (MiB), "2048MiB", "2GiB", "2g", "1.5Gi", or "2GB" (powers of ten).
func (m *mebibytes) Set(value string) error {
	text := strings.ToLower(strings.TrimSpace(value))
	number := strings.TrimRight(text, "bgikmt")
	amount, err := strconv.ParseFloat(number, 64)
	unit, known := memoryUnit(text[len(number):])
	if err != nil || !known || amount <= 0 {
		return fmt.Errorf("want an amount of memory, such as 2048, 2GiB or 2g")
	}
	*m = mebibytes(amount * unit / (1 << 20))
	return nil
}

// memoryUnit is how many bytes a unit stands for.
func memoryUnit(unit string) (bytes float64, known bool) {
	switch unit {
	case "", "m", "mi", "mib":
		return 1 << 20, true
	case "k", "ki", "kib":
		return 1 << 10, true
	case "g", "gi", "gib":
		return 1 << 30, true
	case "t", "ti", "tib":
		return 1 << 40, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	default:
		return 0, false
	}
}

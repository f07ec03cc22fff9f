package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// series is one measured thing over all runs, in seconds.
type series struct {
	name   string
	values []float64
}

// seriesOf turns runs into rows: the whole create, when each of its phases ended, and destroy.
func seriesOf(runs []cycle) []series {
	rows := []series{{name: "create, as an own client sees it"}, {name: "create, the process"}, {name: "all replicas of CoreDNS"}}
	at := map[string]int{}

	for _, run := range runs {
		rows[0].values = append(rows[0].values, run.Seen)
		rows[1].values = append(rows[1].values, run.Create)
		rows[2].values = append(rows[2].values, run.Full)

		for _, phase := range run.Phases {
			name := "  until " + string(phase.Phase)
			if _, known := at[name]; !known {
				at[name] = len(rows)
				rows = append(rows, series{name: name})
			}

			rows[at[name]].values = append(rows[at[name]].values, phase.At)
		}
	}

	destroyed := series{name: "destroy"}
	for _, run := range runs {
		destroyed.values = append(destroyed.values, run.Destroy)
	}

	return append(rows, destroyed)
}

// median is the middle value, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))

	switch middle := len(sorted) / 2; {
	case len(sorted) == 0:
		return 0
	case len(sorted)%2 == 1:
		return sorted[middle]
	default:
		return (sorted[middle-1] + sorted[middle]) / 2
	}
}

func printTable(w io.Writer, measured result) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)

	fmt.Fprintf(table, "%d runs, %d processors, kernel %s, load %s\n\n", len(measured.Runs), measured.Host.CPUs, measured.Host.Kernel, measured.Host.LoadAvg)
	fmt.Fprintln(table, "SECONDS\tMEDIAN\tLEAST\tMOST")

	for _, row := range seriesOf(measured.Runs) {
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\n", row.name, median(row.values), slices.Min(row.values), slices.Max(row.values))
	}

	if len(measured.Nodes) > 0 {
		fmt.Fprintln(table, "\nIDLE NODE\tMEMORY MB\tCPU %\t/var MB")
	}

	for _, node := range measured.Nodes {
		fmt.Fprintf(table, "%s\t%.0f\t%.1f\t%.0f\n", node.Name, megabytes(node.MemoryBytes), 100*node.CPU, megabytes(node.VarBytes))
	}

	fmt.Fprintf(table, "\nimage\t%.0f MB unpacked, %.0f MB compressed\n", megabytes(measured.Image.UnpackedBytes), megabytes(measured.Image.CompressedBytes))

	return table.Flush()
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

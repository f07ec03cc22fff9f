package kernel

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
)

// processors reads /proc/cpuinfo: one resource for each socket, as SMBIOS counts them on a machine that has it.
func processors(text string) []resource.Resource {
	sockets := map[string]*hardware.ProcessorSpec{}

	for block := range strings.SplitSeq(text, "\n\n") {
		fields := fieldsOf(block)
		if _, ok := fields["processor"]; !ok {
			continue
		}

		socket := cmp.Or(fields["physical id"], "0")
		if sockets[socket] == nil {
			sockets[socket] = &hardware.ProcessorSpec{
				Socket: "CPU-" + socket, Manufacturer: fields["vendor_id"], ProductName: fields["model name"],
				CoreCount: number(fields["cpu cores"]), CoreEnabled: number(fields["cpu cores"]),
			}
		}

		sockets[socket].ThreadCount++
	}

	var all []resource.Resource

	for _, spec := range sockets {
		// A processor that does not say has one core for each thread.
		spec.CoreCount = cmp.Or(spec.CoreCount, spec.ThreadCount)
		spec.CoreEnabled = cmp.Or(spec.CoreEnabled, spec.ThreadCount)

		processor := hardware.NewProcessorInfo(spec.Socket)
		*processor.TypedSpec() = *spec
		all = append(all, processor)
	}

	slices.SortFunc(all, func(a, b resource.Resource) int { return cmp.Compare(a.Metadata().ID(), b.Metadata().ID()) })

	return all
}

// memoryModule sums the memory up: which modules hold it is not for a container to see.
func memoryModule(meminfo string) resource.Resource {
	module := hardware.NewMemoryModuleInfo("memory")
	module.TypedSpec().Size = uint32(value(meminfo, "MemTotal") >> 10)
	module.TypedSpec().DeviceLocator = "all memory of the kernel"

	return module
}

// systemInformation is the host's. Its serial number and UUID are left out: they would be the same for all nodes on the
// host, and whoever reads them takes them for a node's.
func systemInformation(read func(path string) string) resource.Resource {
	information := hardware.NewSystemInformation(hardware.SystemInformationID)
	attribute := func(name string) string { return strings.TrimSpace(read("/sys/class/dmi/id/" + name)) }

	*information.TypedSpec() = hardware.SystemInformationSpec{
		Manufacturer: attribute("sys_vendor"),
		ProductName:  attribute("product_name"),
		Version:      attribute("product_version"),
		SKUNumber:    attribute("product_sku"),
	}

	return information
}

// fieldsOf reads lines of name: value.
func fieldsOf(block string) map[string]string {
	fields := map[string]string{}

	for line := range strings.Lines(block) {
		name, value, found := strings.Cut(line, ":")
		if found {
			fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}

	return fields
}

func number(text string) uint32 {
	parsed, _ := strconv.ParseUint(text, 10, 32)

	return uint32(parsed)
}

func kibibytes(text string) uint64 {
	parsed, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)

	return parsed
}

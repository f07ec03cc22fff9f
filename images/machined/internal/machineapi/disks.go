package machineapi

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// blockDevices is where the kernel tells of disks, one directory for each.
const blockDevices = "/sys/block"

// sectorSize is the unit in which the kernel tells the size of disks, in bytes.
const sectorSize = 512

// disks are the host's: a container has none of its own.
type disks struct {
	storage.UnimplementedStorageServiceServer
}

// Disks is part of storage.StorageServiceServer.
func (disks) Disks(context.Context, *emptypb.Empty) (*storage.DisksResponse, error) {
	list, err := disksIn(blockDevices)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot list disks: %v", err)
	}

	return &storage.DisksResponse{Messages: []*storage.Disks{{Disks: list}}}, nil
}

// disksIn leaves out what has no size, as loop devices without a file.
func disksIn(directory string) ([]*storage.Disk, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}

	var list []*storage.Disk

	for _, entry := range entries {
		if disk := diskAt(filepath.Join(directory, entry.Name())); disk.Size > 0 {
			list = append(list, disk)
		}
	}

	return list, nil
}

func diskAt(directory string) *storage.Disk {
	name := filepath.Base(directory)
	sectors, _ := strconv.ParseUint(attribute(directory, "size"), 10, 64)
	bus, _ := filepath.EvalSymlinks(directory)
	subsystem, _ := filepath.EvalSymlinks(filepath.Join(directory, "subsystem"))

	return &storage.Disk{
		Size:       sectors * sectorSize,
		DeviceName: "/dev/" + name,
		Name:       attribute(directory, "device/name"),
		Model:      attribute(directory, "device/model"),
		Serial:     attribute(directory, "device/serial"),
		Modalias:   attribute(directory, "device/modalias"),
		Uuid:       attribute(directory, "device/uuid"),
		Wwid:       attribute(directory, "wwid") + attribute(directory, "device/wwid"),
		Type:       diskType(name, attribute(directory, "queue/rotational")),
		BusPath:    strings.TrimPrefix(filepath.Dir(filepath.Dir(bus)), "/sys/devices"),
		Subsystem:  subsystem,
		Readonly:   attribute(directory, "ro") == "1",
	}
}

// attribute reads one that many kinds of disk do not have.
func attribute(directory, name string) string {
	text, _ := os.ReadFile(filepath.Join(directory, name))

	return strings.TrimSpace(string(text))
}

func diskType(name, rotational string) storage.Disk_DiskType {
	switch {
	case strings.HasPrefix(name, "nvme"):
		return storage.Disk_NVME
	case strings.HasPrefix(name, "mmcblk"):
		return storage.Disk_SD
	case strings.HasPrefix(name, "sr"):
		return storage.Disk_CD
	case rotational == "1":
		return storage.Disk_HDD
	case rotational == "0":
		return storage.Disk_SSD
	default:
		return storage.Disk_UNKNOWN
	}
}

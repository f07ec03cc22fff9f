package main

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
)

// fileLimit bounds a file that is written, in bytes.
const fileLimit = 1 << 20

// files is a directory over HTTP: GET reads a file, PUT stores one for good before it answers, DELETE removes one. There
// are no directories below it.
type files struct{ dir string }

// ServeHTTP opens the directory for each request, as a volume may be exchanged below the process.
func (f files) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		answer(w, err)

		return
	}
	defer root.Close()

	name := request.PathValue("name")

	switch request.Method {
	case http.MethodGet:
		var data []byte
		if data, err = root.ReadFile(name); err == nil {
			_, err = w.Write(data)
		}
	case http.MethodPut:
		err = store(root, name, http.MaxBytesReader(w, request.Body, fileLimit))
	case http.MethodDelete:
		err = root.Remove(name)
	default:
		err = errors.ErrUnsupported
	}

	answer(w, err)
}

// store keeps the old file until the new one is on the disk, so that what was acknowledged is there, whole.
func store(root *os.Root, name string, from io.Reader) error {
	fresh := "." + name + ".new"

	file, err := root.Create(fresh)
	if err != nil {
		return err
	}

	_, err = io.Copy(file, from)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, root.Remove(fresh))
	}

	return root.Rename(fresh, name)
}

// answer tells an error by its status; without one the answer was given.
func answer(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError

	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, errors.ErrUnsupported):
		http.Error(w, "want GET, PUT or DELETE", http.StatusMethodNotAllowed)
	case errors.As(err, &tooLarge):
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

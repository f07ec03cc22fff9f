package provision

import "errors"

// hinted is an error that knows a cure.
type hinted struct {
	error
	hint string
}

// Unwrap lets errors.Is and errors.As see what was hinted at.
func (h hinted) Unwrap() error {
	return h.error
}

// WithHint adds to an error what the user can do about it. The hint is not part of the error's text: Hints finds it.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return hinted{error: err, hint: hint}
}

// Hints lists the hints in the tree of an error, outermost first, each once.
func Hints(err error) []string {
	var hints []string
	seen := map[string]bool{}
	walk(err, func(err error) {
		h, ok := err.(hinted)
		if ok && !seen[h.hint] {
			seen[h.hint] = true
			hints = append(hints, h.hint)
		}
	})
	return hints
}

// walk visits an error and all that it wraps. errors.As finds the first of a type only.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			walk(one, visit)
		}
		return
	}
	walk(errors.Unwrap(err), visit)
}

package apply

import "strings"

// Details tells the caller in words what the plan's mode means, or with dryRun what it would.
func (p Plan) Details(dryRun bool) string {
	text := p.outcome()

	if len(p.NeedsReboot) > 0 {
		text += "; a reboot is needed for " + strings.Join(bounded(p.NeedsReboot), ", ")
	}

	if !dryRun {
		return text
	}

	diff := p.Diff
	if diff == "" && !p.First {
		diff = "No changes.\n"
	}

	return "Dry run, nothing was done. It would be:\n" + text + "\n" + diff
}

func (p Plan) outcome() string {
	switch {
	case p.First:
		return "Taken as the node's first machine config, with which it boots now"
	case p.Mode == Reboot:
		return "Applied with a reboot"
	case p.Mode == Staged:
		return "Staged: applied at the next boot"
	case p.Mode == Try:
		return "Applied without a reboot, to try: the configuration before is back in " + p.Limit.String() +
			" or at the next boot, unless one is applied in another mode"
	default:
		return "Applied without a reboot"
	}
}

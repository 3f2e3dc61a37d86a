// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// optionsMax bounds the file of options: what a pipe takes at once.
const optionsMax = 16 << 10

// option is one line of the file: what the program is told besides action and
// plug.
type option struct{ name, value string }

var optionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// ours are the options that say what is done to which host. They stand in no file.
var ours = []string{"action", "option", "plug", "port", "nodename"}

// readOptions reads the file of options. What stands in it is never said, only
// the number of a line and the name before its =.
func readOptions(path string, user int) ([]option, error) {
	if path == "" {
		return nil, nil
	}
	f, info, err := openTrusted(path, user)
	if err != nil {
		return nil, fmt.Errorf("options_file: %w", err)
	}
	defer f.Close()
	if perm := info.Mode().Perm(); perm&0o037 != 0 {
		return nil, fmt.Errorf("options_file: %s has mode %04o, others may read or change it; make it 0600 or 0640", path, perm)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && user != 0 && int(stat.Uid) != user && info.Mode().Perm()&0o040 == 0 {
		return nil, fmt.Errorf("options_file: %s has mode %04o and belongs to root: the agent's user (%d) cannot read it; give it to that user, or make it 0640 with the user's group", path, info.Mode().Perm(), user)
	}
	text, err := io.ReadAll(io.LimitReader(f, optionsMax+1))
	if err != nil {
		return nil, fmt.Errorf("options_file: read %s: %w", path, err)
	}
	if len(text) > optionsMax {
		return nil, fmt.Errorf("options_file: %s is larger than %d KiB", path, optionsMax>>10)
	}
	options, err := parseOptions(string(text))
	if err != nil {
		return nil, fmt.Errorf("options_file: %s:%w", path, err)
	}
	return options, nil
}

// parseOptions reads lines name=value. Empty lines and those that begin with #
// say nothing.
func parseOptions(text string) ([]option, error) {
	var options []option
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		name, value, found := strings.Cut(trimmed, "=")
		if err := optionFault(name, value, found); err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
		if slices.ContainsFunc(options, func(o option) bool { return o.name == name }) {
			return nil, fmt.Errorf("%d: %s stands there twice; write it once", i+1, name)
		}
		options = append(options, option{name, value})
	}
	return options, nil
}

func optionFault(name, value string, found bool) error {
	switch {
	case !found || !optionName.MatchString(name):
		return errors.New("no line like name=value")
	case slices.Contains(ours, strings.ToLower(name)):
		return fmt.Errorf("%s is said by the agent, for each host by itself; take the line away", name)
	case strings.ContainsFunc(value, unprintable) || !utf8.ValidString(value):
		return fmt.Errorf("the value of %s holds a control character", name)
	}
	return nil
}

// input is what the program reads: a name and its value a line.
func input(options []option, action, plug string) string {
	var b strings.Builder
	for _, o := range append(slices.Clone(options), option{"action", action}, option{"plug", plug}) {
		fmt.Fprintf(&b, "%s=%s\n", o.name, o.value)
	}
	return b.String()
}

// plain are values that are no secret and stand in any sentence.
var plain = []string{"", "0", "1", "2", "on", "off", "yes", "no", "true", "false"}

// masks are the values of options, longest first: what a program says of itself
// is told without them.
func masks(options []option) []string {
	var values []string
	for _, o := range options {
		if !slices.Contains(plain, strings.ToLower(o.value)) {
			values = append(values, o.value)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}

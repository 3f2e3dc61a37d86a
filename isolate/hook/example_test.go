// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"os"
	"strings"
	"testing"
)

// The example is what people copy: it must be a program that the hook can use.
func TestTheExampleIsAHook(t *testing.T) {
	text, err := os.ReadFile("../../deploy/examples/fence_example")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "")
	s.program(t, strings.TrimPrefix(string(text), "#!/bin/sh\n"))
	s.write(t, "options", "uri=test:///x y?a=b=\ncli="+s.dir+"/virsh\npasswd="+secret+"\n", 0o600)
	s.o.Plugs["n1"] = "vm of n1="
	h := s.hook(t)
	// A hypervisor that keeps the state of its machine in a file.
	virsh := `#!/bin/sh
echo "$#:$*" >> DIR/calls
case $3 in
domstate) cat DIR/state ;;
destroy) if [ -e DIR/refuses ]; then echo "error: no right" >&2; exit 1; fi; echo "shut off" > DIR/state ;;
esac
`
	s.write(t, "virsh", strings.ReplaceAll(virsh, "DIR", s.dir), 0o755)

	s.write(t, "state", "running\n", 0o600)
	if got, err := h.Status(t.Context(), "n1"); got != On || err != nil {
		t.Errorf("it runs: %v, %v", got, err)
	}
	s.write(t, "refuses", "", 0o600)
	if err := h.Off(t.Context(), "n1"); err == nil || !strings.Contains(err.Error(), `it says "vm of n1= was not turned off"`) {
		t.Errorf("a hypervisor that refuses: %v", err)
	}
	if err := os.Remove(s.dir + "/refuses"); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if err := h.Off(t.Context(), "n1"); err != nil {
			t.Errorf("again %v: %v", again, err)
		}
	}
	if got, err := h.Status(t.Context(), "n1"); got != Off || err != nil {
		t.Errorf("it is off: %v, %v", got, err)
	}
	s.write(t, "state", "no state\n", 0o600)
	if got, err := h.Status(t.Context(), "n1"); got != StateUnknown || err == nil || !strings.Contains(err.Error(), "the state of vm of n1= is no state") {
		t.Errorf("nobody knows: %v, %v", got, err)
	}
	s.write(t, "virsh", "#!/bin/sh\nexit 1\n", 0o755)
	if err := h.Off(t.Context(), "n1"); err == nil || !strings.Contains(err.Error(), "the state of vm of n1= is not known") {
		t.Errorf("no hypervisor: %v", err)
	}
	if calls := s.read(t, "calls"); !strings.HasPrefix(calls, "5:--connect test:///x y?a=b= domstate --domain vm of n1=\n") || strings.Count(calls, "destroy") != 2 {
		t.Errorf("it called\n%s", calls)
	}
}

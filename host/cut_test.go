package host

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
)

// insideEnv, if set, says that the test runs in a network of its own.
const insideEnv = "TORTURE_HOST_TEST_INSIDE"

// TestCut cuts the messages from n1 to n2, and no others, in the kernel, for
// longer than a connection lives, and heals.
func TestCut(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		inside(t)
		return
	}
	shell(t, "ip link set lo up")
	c := newCluster(t, 2, nil)
	c.linked()
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	probes := 0
	arrives := func(from, to *member, patience time.Duration) bool {
		t.Helper()
		probes++
		nonce := fmt.Sprint("probe-", probes)
		from.do("POST", "/probe", fmt.Sprintf(`{"to":%q,"nonce":%q}`, to.cfg.ID, nonce), nil)
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
			var got struct{ Probes []probe }
			to.do("GET", "/probes?from="+string(from.cfg.ID), "", &got)
			for _, p := range got.Probes {
				if p.Nonce == nonce {
					return true
				}
			}
		}
		return false
	}
	for _, length := range []time.Duration{100 * time.Millisecond, deadAfter + 1500*time.Millisecond} {
		shell(t, fmt.Sprintf("nft add table ip cut && nft add chain ip cut in '{ type filter hook input priority -300; }' && nft add rule ip cut in tcp dport %d drop",
			n2.cfg.PeerListener.Addr().(*net.TCPAddr).Port))
		for end := time.Now().Add(length); time.Now().Before(end); {
			if arrives(n1, n2, 50*time.Millisecond) {
				t.Fatal("a probe passed a link that is cut")
			}
			if !arrives(n2, n1, 10*time.Second) {
				t.Fatal("the other direction does not work")
			}
			if linked(n2, "n1") != true {
				t.Fatal("the cut of one direction broke the connection of the other")
			}
		}
		if cut := length > deadAfter; linked(n1, "n2") == cut {
			t.Errorf("after a cut of %s the link is connected: %v", length, !cut)
		}
		shell(t, "nft delete table ip cut")
		healed := time.Now()
		n1.reaches("n2")
		t.Logf("cut for %s, works %s after the heal", length, time.Since(healed).Round(time.Millisecond))
	}
}

// linked tells whether m has a connection to a peer.
func linked(m *member, to node.ID) bool {
	m.t.Helper()
	var p struct {
		Peers []struct {
			ID        node.ID
			Connected bool
		}
	}
	m.do("GET", "/peers", "", &p)
	for _, x := range p.Peers {
		if x.ID == to {
			return x.Connected
		}
	}
	m.t.Fatalf("%s is no peer among %+v", to, p)
	return false
}

// inside runs the test again, in a network namespace of its own.
func inside(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	for _, tool := range []string{"unshare", "ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("it needs the program %s: %v", tool, err)
		}
	}
	flag := "-n"
	if os.Getuid() != 0 {
		flag = "-rn"
	}
	if out, err := exec.Command("unshare", flag, "nft", "list", "tables").CombinedOutput(); err != nil {
		t.Skipf("it needs a network of its own: %v: %s", err, out)
	}
	cmd := exec.Command("unshare", flag, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=yes")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

func shell(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

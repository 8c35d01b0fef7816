package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The report of a run is one file in its folder, and changes nothing else there; its mistakes are said in a line and leave no file.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	succeeds(t, dir, "train", "tiny.yaml")
	before := tree(t, filepath.Join(dir, "runs/tiny/checkpoints"))
	o := succeeds(t, dir, "report", "runs/tiny", "--requests", "2", "--markdown", "CARD.md")
	if o.stdout != "runs/tiny/report.html\nCARD.md\n" {
		t.Errorf("says %q", o.stdout)
	}
	page, card := string(read(t, filepath.Join(dir, "runs/tiny/report.html"))), string(read(t, filepath.Join(dir, "CARD.md")))
	if !strings.Contains(page, "Loss by noise level") || !strings.Contains(page, "of 2 requests") || !strings.HasPrefix(card, "# tiny\n") {
		t.Error("the report or the card lacks what it is for")
	}
	if after := tree(t, filepath.Join(dir, "runs/tiny/checkpoints")); strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Error("the report changed the run")
	}
	succeeds(t, dir, "train", "runs/tiny", "steps=42", "--resume") // a report in the folder does not disturb the run
	if err := os.Remove(filepath.Join(dir, "runs/tiny/report.html")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "said.yaml"), "deployment: {stepps: 3}\n")
	fails(t, 1, dir, []string{"report", "runs/tiny", "--card", "said.yaml"}, "said.yaml:1", "stepps")
	fails(t, 1, dir, []string{"report", "runs/tiny", "--figures", "none.jsonl"}, "none.jsonl")
	fails(t, 1, dir, []string{"report", "runs/none"}, "runs/none", "is no run")
	fails(t, 1, dir, []string{"report", "runs/tiny", "--out", "no/where.html"}, "no")
	fails(t, 2, dir, []string{"report", "runs/tiny", "--requests", "-1"}, "--requests")
	fails(t, 2, dir, []string{"report"}, "missing: a run")
}

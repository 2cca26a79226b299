package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// dockerInstall adds the runtime to a daemon.json.
func dockerInstall(text []byte, name, binary string) ([]byte, error) {
	config, runtimes, err := dockerConfig(text)
	if err != nil {
		return nil, err
	}
	entry := map[string]any{"path": binary}
	if old, ok := runtimes[name]; ok {
		if dockerPath(old) == binary {
			return text, nil
		}
		return nil, fmt.Errorf("there is another runtime of the name %s (%s); remove it or give a name with --runtime", name, bytes.TrimSpace(old))
	}
	if runtimes == nil {
		runtimes = map[string]json.RawMessage{}
	}
	if runtimes[name], err = json.Marshal(entry); err != nil {
		return nil, err
	}
	return dockerText(config, runtimes)
}

// dockerUninstall removes the runtime from a daemon.json.
func dockerUninstall(text []byte, name, binary string) ([]byte, error) {
	config, runtimes, err := dockerConfig(text)
	if err != nil {
		return nil, err
	}
	old, ok := runtimes[name]
	if !ok {
		return text, nil
	}
	if dockerPath(old) != binary {
		return nil, fmt.Errorf("the runtime %s is not this program (%s)", name, bytes.TrimSpace(old))
	}
	var def string
	if json.Unmarshal(config["default-runtime"], &def) == nil && def == name {
		return nil, fmt.Errorf("default-runtime is %s; choose another one first", name)
	}
	delete(runtimes, name)
	return dockerText(config, runtimes)
}

func dockerPath(entry json.RawMessage) string {
	var e struct {
		Path string `json:"path"`
	}
	if json.Unmarshal(entry, &e) != nil {
		return ""
	}
	return e.Path
}

// dockerConfig reads a daemon.json and its runtimes, nil if there are none.
func dockerConfig(text []byte) (config, runtimes map[string]json.RawMessage, err error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return map[string]json.RawMessage{}, nil, nil
	}
	if err := json.Unmarshal(text, &config); err != nil || config == nil {
		return nil, nil, fmt.Errorf("it is not a JSON object (%v)", err)
	}
	if raw, ok := config["runtimes"]; ok {
		if err := json.Unmarshal(raw, &runtimes); err != nil {
			return nil, nil, fmt.Errorf("runtimes is not an object (%w)", err)
		}
	}
	return config, runtimes, nil
}

func dockerText(config, runtimes map[string]json.RawMessage) ([]byte, error) {
	delete(config, "runtimes")
	if len(runtimes) > 0 {
		raw, err := json.Marshal(runtimes)
		if err != nil {
			return nil, err
		}
		config["runtimes"] = raw
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	err := enc.Encode(config)
	return out.Bytes(), err
}

// What install adds to a config.toml stands between these lines.
const (
	tomlBegin = "# begin runsc: added by runsc install\n"
	tomlEnd   = "# end runsc\n"
)

// Patterns, compiled when they are used: all processes of a sandbox are this binary.
const (
	tomlVersion = `(?m)^\s*version\s*=\s*([0-9]+)\s*(#.*)?$`
	tomlInline  = `(?m)^[^#\n]*\b(runtimes|plugins|containerd)\b[^#\n=]*=\s*\{`
)

// criPlugin is the name of containerd's CRI plugin by the version of the configuration.
var criPlugin = map[string]string{
	"2": `plugins."io.containerd.grpc.v1.cri".containerd`,
	"3": `plugins."io.containerd.cri.v1.runtime".containerd`,
}

// containerdInstall appends a table to a config.toml: what is there stays as it is, with
// its comments.
func containerdInstall(text []byte, name, _ string) ([]byte, error) {
	old := string(text)
	if strings.TrimSpace(old) == "" {
		old = "version = 2\n"
	}
	m := regexp.MustCompile(tomlVersion).FindStringSubmatch(old)
	if m == nil || criPlugin[m[1]] == "" {
		return nil, errors.New("it does not say version = 2 or 3; migrate it with containerd config migrate")
	}
	if _, block, err := containerdBlock(old); err != nil {
		return nil, err
	} else if block != "" {
		if strings.Contains(block, ".runtimes."+name+"]") {
			return text, nil
		}
		return nil, fmt.Errorf("install was run with another --runtime; uninstall that first:\n%s", block)
	}
	if regexp.MustCompile(`(?m)^\s*\[[^\n]*\.runtimes\."?`+name+`"?\]`).MatchString(old) || regexp.MustCompile(tomlInline).MatchString(old) ||
		strings.Count(old, `"""`)%2 != 0 || strings.Count(old, `'''`)%2 != 0 {
		return nil, fmt.Errorf("it has a runtime %s, or its runtimes in a form that is not understood; add runtime_type = \"io.containerd.runsc.v1\" by hand", name)
	}
	if !strings.HasSuffix(old, "\n") {
		old += "\n"
	}
	return []byte(old + tomlBegin + "[" + criPlugin[m[1]] + ".runtimes." + name + "]\n  runtime_type = \"io.containerd.runsc.v1\"\n" + tomlEnd), nil
}

// containerdUninstall removes what containerdInstall added.
func containerdUninstall(text []byte, _, _ string) ([]byte, error) {
	rest, block, err := containerdBlock(string(text))
	if err != nil || block == "" {
		return text, err
	}
	return []byte(rest), nil
}

// containerdBlock cuts what install added out of a config.toml.
func containerdBlock(text string) (rest, block string, err error) {
	i := strings.Index(text, tomlBegin)
	if i < 0 {
		return text, "", nil
	}
	n := strings.Index(text[i:], tomlEnd)
	if n < 0 {
		return "", "", fmt.Errorf("the line %q has no %q", strings.TrimSpace(tomlBegin), strings.TrimSpace(tomlEnd))
	}
	n += len(tomlEnd)
	return text[:i] + text[i+n:], text[i : i+n], nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A process is watched through seccomp's user notification (seccomp_unotify(2)): each system call of some
// kinds stops its thread until the watcher lets it go on. So a program is killed at a system call
// that is chosen, and is the program that users run: nothing in it knows of it.

// asWatched makes this program the one that its variable names, watched through file descriptor 3.
const asWatched = "KILLCHECK_WATCHED"

// watchedCalls are the system calls by which a Go program changes files.
var watchedCalls = []uint32{unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_RENAMEAT, unix.SYS_FSYNC, unix.SYS_FTRUNCATE, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT}

// becomeWatched puts the filter on this thread, hands its descriptor to the watcher and becomes the program.
func becomeWatched(program string) error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const load, equal, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{{Code: load}} // the number of the call, the first field of seccomp_data
	for i, n := range watchedCalls {
		filter = append(filter, unix.SockFilter{Code: equal, Jt: uint8(len(watchedCalls) - i), K: n})
	}
	filter = append(filter, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_USER_NOTIF})
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return err
	}
	unix.CloseOnExec(3)
	os.Unsetenv(asWatched)
	return syscall.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ())
}

// call is a system call that waits.
type call struct {
	pid  int
	nr   uint32
	args [6]uint64
}

// notification is struct seccomp_notif, answer struct seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// errNoWatching says that this system has no user notification.
var errNoWatching = errors.New("processes cannot be watched here (seccomp's user notification)")

// watch starts a command, asks meet about each of its watched calls, and waits for its end. A call of which meet says false
// never happens: meet has killed the process.
func watch(c *exec.Cmd, meet func(call) bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "watcher")
	c.Env = append(c.Env, asWatched+"="+c.Path)
	c.Path, c.ExtraFiles = self, []*os.File{theirs}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = c.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	fd, err := receive(pair[0])
	if err != nil {
		return errors.Join(errNoWatching, err, c.Wait())
	}
	watched := make(chan error, 1)
	go func() {
		defer unix.Close(fd)
		watched <- follow(fd, meet)
	}()
	err = c.Wait()
	return errors.Join(err, <-watched)
}

// receive gets a file descriptor over a socket.
func receive(socket int) (int, error) {
	space := make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := unix.Recvmsg(socket, make([]byte, 1), space, unix.MSG_CMSG_CLOEXEC)
	if err == nil && n == 0 {
		err = errors.New("the process ended before it was watched")
	}
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(space[:size])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(err, errors.New("no file descriptor came"))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, errors.Join(err, errors.New("no file descriptor came"))
	}
	return fds[0], nil
}

// follow asks meet about each call until the process is gone.
func follow(fd int, meet func(call) bool) error {
	for {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return err
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			return nil // nobody is left under the filter
		}
		var n notification
		if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
				continue // killed before it was heard
			}
			return err
		}
		if !meet(call{int(n.pid), uint32(n.nr), n.args}) {
			continue
		}
		a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
}

func ioctl(fd int, request uint, p unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(p)); errno != 0 {
		return errno
	}
	return nil
}

// file is the path of the open file that a call is about; "" if there is none.
func (c call) file() string {
	path, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(c.pid), "fd", strconv.Itoa(int(c.args[0]))))
	if err != nil {
		return ""
	}
	return path
}

// memory reads n bytes of the process at an address.
func (c call) memory(at, n uint64) ([]byte, error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(c.pid), "mem"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	got, err := f.ReadAt(b, int64(at))
	if got > 0 {
		err = nil
	}
	return b[:got], err
}

// text is the string that argument i points to.
func (c call) text(i int) string {
	const page = 4096 // which ends before the next one, that may not be there
	at := c.args[i]
	b, err := c.memory(at, page-at%page)
	if err == nil && !strings.Contains(string(b), "\x00") {
		var more []byte
		more, err = c.memory(at+uint64(len(b)), page)
		b = append(b, more...)
	}
	if err != nil {
		return ""
	}
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// writeInPart does the first n bytes of a write to the end of a file.
func (c call) writeInPart(n uint64) error {
	b, err := c.memory(c.args[1], n)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join("/proc", strconv.Itoa(c.pid), "fd", strconv.Itoa(int(c.args[0]))), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

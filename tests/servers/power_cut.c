// Preloaded before libc (LD_PRELOAD): a disk that loses what was not flushed. Writes to files below POWER_CUT_DIR go to
// the file at once, and the overwritten content is remembered until the file is flushed. When the file
// POWER_CUT_DIR/cut appears, everything that was not flushed is undone, newest first, and the process is killed. With
// POWER_CUT_NO_FLUSH a flush does nothing, as if the program had skipped it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct undo {
  struct undo *older;
  char *path;
  ino_t inode;
  off_t at, size_before;
  size_t length; // of what was there before
  char bytes[];
};

static struct undo *newest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static int no_flush;

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__)
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
REAL(int, ftruncate64, int, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);

static void find(void) {
  if (real_write) return;
  real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
  real_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  root = getenv("POWER_CUT_DIR");
  no_flush = getenv("POWER_CUT_NO_FLUSH") != NULL;
  real_write = dlsym(RTLD_NEXT, "write");
}

// Whether it is a file on that disk; if so, its path.
static int is_ours(int fd, char *path, struct stat *found) {
  char link[64];
  if (!root || fstat(fd, found) != 0 || !S_ISREG(found->st_mode)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, 4095);
  if (n < 0) return 0;
  path[n] = 0;
  // The index that processes share is not data: it is rebuilt.
  size_t length = strlen(path);
  if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return 0;
  return strncmp(path, root, strlen(root)) == 0;
}

static void remember(const char *path, const struct stat *found, off_t at, size_t length) {
  size_t kept = at >= found->st_size ? 0 : (size_t)(found->st_size - at) < length ? (size_t)(found->st_size - at) : length;
  struct undo *undo = malloc(sizeof *undo + kept);
  *undo = (struct undo){newest, strdup(path), found->st_ino, at, found->st_size, kept};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || pread(fd, undo->bytes, kept, at) != (ssize_t)kept) abort();
  close(fd);
  newest = undo;
}

static void flushed(ino_t inode) {
  for (struct undo **next = &newest; *next;) {
    struct undo *undo = *next;
    if (undo->inode == inode) {
      *next = undo->older;
      free(undo->path);
      free(undo);
    } else {
      next = &undo->older;
    }
  }
}

static ssize_t put(int fd, const void *bytes, size_t length, off_t at, int positioned) {
  char path[4096];
  struct stat found;
  find();
  if (!is_ours(fd, path, &found))
    return positioned ? real_pwrite64(fd, bytes, length, at) : real_write(fd, bytes, length);
  pthread_mutex_lock(&lock);
  fstat(fd, &found);
  if (!positioned) at = fcntl(fd, F_GETFL) & O_APPEND ? found.st_size : lseek(fd, 0, SEEK_CUR);
  remember(path, &found, at, length);
  ssize_t done = positioned ? real_pwrite64(fd, bytes, length, at) : real_write(fd, bytes, length);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int fd, const void *bytes, size_t length) { return put(fd, bytes, length, 0, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at, 1); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at, 1); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  ssize_t done = 0;
  for (int n = 0; n < count; n++) {
    ssize_t written = put(fd, parts[n].iov_base, parts[n].iov_len, 0, 0);
    if (written < 0) return done ? done : written;
    done += written;
    if ((size_t)written < parts[n].iov_len) break;
  }
  return done;
}

static int shorten(int fd, off_t to) {
  char path[4096];
  struct stat found;
  find();
  if (!is_ours(fd, path, &found)) return real_ftruncate64(fd, to);
  pthread_mutex_lock(&lock);
  fstat(fd, &found);
  if (to < found.st_size) remember(path, &found, to, (size_t)(found.st_size - to));
  else remember(path, &found, found.st_size, 0);
  int done = real_ftruncate64(fd, to);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate(int fd, off_t to) { return shorten(fd, to); }
int ftruncate64(int fd, off_t to) { return shorten(fd, to); }

static int flush(int fd, int (*real)(int)) {
  char path[4096];
  struct stat found;
  if (!is_ours(fd, path, &found)) return real(fd);
  if (no_flush) return 0;
  pthread_mutex_lock(&lock);
  int done = real(fd);
  if (done == 0) flushed(found.st_ino);
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) { find(); return flush(fd, real_fsync); }
int fdatasync(int fd) { find(); return flush(fd, real_fdatasync); }

static void *wait_for_the_cut(void *cut) {
  while (access(cut, F_OK) != 0) usleep(500);
  // Nothing is written from here on.
  pthread_mutex_lock(&lock);
  for (struct undo *undo = newest; undo; undo = undo->older) {
    int fd = open(undo->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) continue; // it is gone
    if (undo->length && real_pwrite64(fd, undo->bytes, undo->length, undo->at) < 0) abort();
    if (real_ftruncate64(fd, undo->size_before) != 0) abort();
    close(fd);
  }
  kill(getpid(), SIGKILL);
  return NULL;
}

__attribute__((constructor)) static void begin(void) {
  static char cut[4096];
  pthread_t thread;
  find();
  if (!root) return;
  snprintf(cut, sizeof cut, "%s/cut", root);
  pthread_create(&thread, NULL, wait_for_the_cut, cut);
}

/* A double of libedgetpu: a TensorFlow Lite delegate that claims the compiled model's one operator and answers from a
 * table, and that errs, aborts, hangs or goes missing when it is told to. It computes nothing and is no Edge TPU.
 *
 * It opens a device on USB as google-coral/libedgetpu does at e35aed1 (driver/usb/usb_driver.cc, PrepareUsbDevice and
 * CreateRawUsbDeviceWithRetry): it sleeps a second before each raw opening and tries that 25 times; it opens the device,
 * resets its port and opens it again; a device without firmware is opened and reset once more. A reset takes the device
 * from the process that had it, whose transfers fail: that process aborts (HandleEvent), and so it does when the device
 * is pulled. Within a process the device is shared. A device on PCIe is opened at once and not reset, and the driver
 * refuses a second process (gasket-driver, gasket_core.c, gasket_open).
 *
 *     gcc -shared -fPIC -O1 fake_edgetpu.c -o libedgetpu.so.1
 *         -DOLD_ABI     a library built for a runtime before 2.12: dies of a signal in a later one
 *         -DNO_PLUGIN   a library of the right name that is no delegate
 *
 * The environment variable FAKE_EDGETPU names a control file of lines; without it there is one USB device that knows no
 * answer. The file is looked at whenever the library is called, and read again once another has been renamed over it
 * (written in place it may be seen half, or not at all). A line that makes no sense ends the process with status 99.
 *
 *     answers PATH          rows of input bytes followed by output bytes; no row for an input: the call errs
 *     devices usb usb pci   what is plugged in, in the order of listing; one usb unless told otherwise. usb@1-1.4: at
 *                           that place
 *     absent                nothing is: creating fails without a word, as the real library does it, and a process whose
 *                           device has gone aborts within milliseconds, at the latest at its next call (a fault that is
 *                           due at that call goes first)
 *     denied                devices are listed, but no raw opening succeeds: this user may not open them
 *     new                   devices on USB have no firmware yet
 *     second MICROSECONDS   what a second of the library's sleeps takes, so that tests need not wait
 *     runtime N             the version it calls itself; below 14 it refuses the fake model as too new (14 otherwise)
 *     slow MICROSECONDS     every call takes so much longer
 *     KIND WHEN             a fault; the first line that fits counts
 *
 * KIND is err (an error with a text), abort, hang (for ever), segfault, exit (of the process, silently), wrong (numbers,
 * without a sign) or `stall WHEN MICROSECONDS` (late, then as if nothing had been). WHEN is N (the Nth call), every N,
 * create, create N (the Nth creation), prepare or prepare N.
 *
 * Creations, preparations and calls are counted from 1 over all processes with the same control file, in the file of
 * its name with .count at the end. A count rises when the library is entered, before any fault: a call that died and is
 * made again has the next number. Remove the file to begin anew, while nobody has it open.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The runtime's ABI, as far as it is used here: tensorflow/lite/core/c/common.h (in LiteRT: tflite/core/c/common.h) of
 * TensorFlow 2.14 and LiteRT 2. Members that this file leaves alone have the right size and a name with an underscore. */

typedef int Status;
enum { OK = 0, ERROR = 1 };

struct indices { /* TfLiteIntArray */
    int size;
    int data[];
};

struct tensor { /* TfLiteTensor: its size matters, because they stand in an array */
    int type_;
    void *data;
    struct indices *dims_;
    struct {
        float scale;
        int32_t zero_point;
    } params_;
    int allocation_type_;
    size_t bytes;
    const void *allocation_;
    const char *name_;
    void *delegate_;
    int buffer_handle_;
    bool data_is_stale_, is_variable_;
    struct {
        int type;
        void *params;
    } quantization_;
    void *sparsity_;
    const struct indices *dims_signature_;
};

struct node { /* TfLiteNode, its head */
    struct indices *inputs, *outputs, *intermediates_, *temporaries_;
    void *user_data;
};

struct context;

struct registration { /* TfLiteRegistration */
    void *(*init)(struct context *, const char *, size_t);
    void (*free)(struct context *, void *);
    Status (*prepare)(struct context *, struct node *);
    Status (*invoke)(struct context *, struct node *);
    const char *(*profiling_string_)(const struct context *, const struct node *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
#ifdef OLD_ABI
    /* It travels by value, and the runtime reads on where the three members of today would be: whatever stands there on
     * the stack. Left to chance it is zero now and then; see `claim`. */
    uint64_t beyond_the_end[3];
#else
    void *registration_external_;
    void *(*async_kernel_)(struct context *, struct node *);
    uint64_t inplace_operator_;
#endif
};

struct delegate { /* TfLiteDelegate, and then what is ours */
    void *data_;
    Status (*prepare)(struct context *, struct delegate *);
    Status (*copy_from_)(struct context *, struct delegate *, int, struct tensor *);
    Status (*copy_to_)(struct context *, struct delegate *, int, struct tensor *);
    void (*free_handle_)(struct context *, struct delegate *, int *);
    int64_t flags;
    void *opaque_delegate_builder_;
    int device;
};

struct delegate_params { /* TfLiteDelegateParams, its head: what init is given as its buffer */
    struct delegate *delegate;
};

struct context { /* TfLiteContext, its head */
    size_t tensors_size_;
    Status (*get_execution_plan)(struct context *, struct indices **);
    struct tensor *tensors;
    void *impl_;
    Status (*resize_tensor_)(struct context *, struct tensor *, struct indices *);
    void (*report_error)(struct context *, const char *, ...);
    Status (*add_tensors_)(struct context *, int, int *);
    Status (*get_node_and_registration)(struct context *, int, struct node **, struct registration **);
    Status (*replace_nodes)(struct context *, struct registration, const struct indices *, struct delegate *);
};

enum { ALLOW_DYNAMIC_TENSORS = 1 }; /* kTfLiteDelegateFlagsAllowDynamicTensors */

/* tflite/public/edgetpu_c.h of google-coral/libedgetpu. */
struct edgetpu_device {
    int type;
    const char *path;
};

enum { PCI = 0, USB = 1 };
static const char *const TYPES[] = {"pci", "usb"};

/* The control file. */

enum kind { ERR, ABORT, HANG, SEGFAULT, EXIT, STALL, WRONG, NO_FAULT };
static const char *const KINDS[] = {"err", "abort", "hang", "segfault", "exit", "stall", "wrong"};

enum moment { CREATE, PREPARE, CALL };
static const char *const MOMENTS[] = {"create", "prepare"};

enum { MOST_FAULTS = 32, MOST_DEVICES = 8, MOST_WORDS = 16, LIBRARY_VERSION = 14, PATH_BYTES = 64 };

enum { SECOND_US = 1000000, OPENINGS = 25, WATCH_US = 2000 };

struct fault {
    enum kind kind;
    enum moment moment;
    uint64_t at, every; /* 0: not said */
    useconds_t stall_us;
};

static struct {
    ino_t inode;
    struct fault faults[MOST_FAULTS];
    int fault_count;
    int devices[MOST_DEVICES];
    char places[MOST_DEVICES][PATH_BYTES]; /* empty: made up */
    int device_count;
    bool denied, new;
    useconds_t second_us;
    int runtime;
    useconds_t slow_us;
    const uint8_t *answers;
    size_t answers_bytes;
    size_t last_hit; /* a row */
} told = {.devices = {USB}, .device_count = 1, .runtime = LIBRARY_VERSION, .second_us = SECOND_US};

/* In the order of `enum moment`; then the calls that were answered rightly, and the resets of each device's port. */
static struct {
    uint64_t entered[3], answered, resets[MOST_DEVICES];
} uncounted, *counts = &uncounted;

/* Of this process: how many delegates have each device, and the resets of its port when it was opened. */
static struct {
    int delegates;
    uint64_t resets;
    int file; /* of a device on PCIe, as the driver's node */
} had[MOST_DEVICES];

_Noreturn static void give_up(const char *text, const char *what) {
    fprintf(stderr, "fake_edgetpu: %s: %s\n", text, what);
    _exit(99);
}

_Noreturn static void fail(const char *why) {
    fprintf(stderr, "F fake_edgetpu.c: transfer failed: %s. Aborting\n", why);
    abort();
}

static int index_of(const char *word, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0) return i;
    return -1;
}

static uint64_t number(const char *word) {
    char *end;
    uint64_t value = strtoull(word, &end, 10);
    if (*word < '0' || *word > '9' || *end) give_up("expected a number in the control file", word);
    return value;
}

/* Maps a file for good: a table that is replaced stays readable to whoever uses it. */
static const uint8_t *map(const char *path, size_t *bytes) {
    struct stat found;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &found)) give_up("cannot read", path);
    *bytes = found.st_size;
    void *data = *bytes ? mmap(NULL, *bytes, PROT_READ, MAP_SHARED, file, 0) : NULL;
    if (data == MAP_FAILED) give_up("cannot map", path);
    close(file);
    return data;
}

static void read_fault(char **word, int words) {
    struct fault fault = {.kind = index_of(word[0], KINDS, NO_FAULT), .moment = CALL};
    if (told.fault_count == MOST_FAULTS) give_up("too many faults", word[0]);
    if (fault.kind == STALL) fault.stall_us = number(word[--words]);
    int moment = words > 1 ? index_of(word[1], MOMENTS, CALL) : -1;
    if (words == 2 && moment >= 0) {
        fault.moment = moment;
        fault.every = 1;
    } else if (words == 3 && moment >= 0) {
        fault.moment = moment;
        fault.at = number(word[2]);
    } else if (words == 3 && strcmp(word[1], "every") == 0) {
        fault.every = number(word[2]);
    } else if (words == 2) {
        fault.at = number(word[1]);
    } else {
        give_up("expected a fault, and when, in the control file", word[0]);
    }
    if (fault.kind == WRONG && fault.moment != CALL) give_up("only calls can be", word[0]);
    told.faults[told.fault_count++] = fault;
}

static void read_line(char *line) {
    static const char PATH_FOLLOWS[] = "answers ";
    if (strncmp(line, PATH_FOLLOWS, strlen(PATH_FOLLOWS)) == 0) {
        static char known[4096];
        static const uint8_t *answers;
        static size_t bytes;
        const char *path = line + strlen(PATH_FOLLOWS);
        /* A process that has given up its user's rights keeps what it has mapped. */
        if (strcmp(path, known) != 0 || access(path, R_OK) == 0) answers = map(path, &bytes);
        snprintf(known, sizeof known, "%s", path);
        told.answers = answers;
        told.answers_bytes = bytes;
        return;
    }
    char *word[MOST_WORDS], *rest = NULL;
    int words = 0;
    for (char *next = strtok_r(line, " ", &rest); next && words < MOST_WORDS; next = strtok_r(NULL, " ", &rest))
        word[words++] = next;
    if (words == 0) return;
    if (strcmp(word[0], "devices") == 0 && words <= MOST_DEVICES) {
        told.device_count = 0;
        for (int i = 1; i < words; i++) {
            char *place = strchr(word[i], '@');
            if (place) *place++ = '\0';
            snprintf(told.places[told.device_count], PATH_BYTES, "%s", place ? place : "");
            int type = index_of(word[i], TYPES, 2);
            if (type < 0) give_up("expected usb or pci in the control file", word[i]);
            told.devices[told.device_count++] = type;
        }
    } else if (strcmp(word[0], "absent") == 0 && words == 1) {
        told.device_count = 0;
    } else if (strcmp(word[0], "denied") == 0 && words == 1) {
        told.denied = true;
    } else if (strcmp(word[0], "new") == 0 && words == 1) {
        told.new = true;
    } else if (strcmp(word[0], "second") == 0 && words == 2) {
        told.second_us = number(word[1]);
    } else if (strcmp(word[0], "runtime") == 0 && words == 2) {
        told.runtime = number(word[1]);
    } else if (strcmp(word[0], "slow") == 0 && words == 2) {
        told.slow_us = number(word[1]);
    } else if (index_of(word[0], KINDS, NO_FAULT) >= 0) {
        read_fault(word, words);
    } else {
        give_up("this line of the control file makes no sense", word[0]);
    }
}

/* The control file's folder, opened while this process has the rights of its user, and the file's name in it. */
static int folder_of(const char *path, const char **name) {
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    static int folder = -1;
    static char known[4096];
    const char *slash = strrchr(path, '/');
    char above[4096];
    if (!slash) give_up("expected the path of the control file, got", path);
    snprintf(above, sizeof above, "%.*s", (int)(slash - path) + 1, path);
    *name = slash + 1;
    pthread_mutex_lock(&one);
    if (strcmp(above, known) != 0) folder = open(strcpy(known, above), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int found = folder;
    pthread_mutex_unlock(&one);
    return found;
}

static void open_counts(const char *control) {
    char path[4096];
    snprintf(path, sizeof path, "%s.count", control);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || ftruncate(file, sizeof *counts)) give_up("cannot write", path);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counts == MAP_FAILED) give_up("cannot map", path);
    close(file);
}

/* One system call where nothing has changed: the control file must not be what a benchmark measures. */
static void look_at_control(void) {
    static int held = -1;
    const char *path = getenv("FAKE_EDGETPU");
    struct stat found;
    if (!path) return;
    const char *name;
    int folder = folder_of(path, &name);
    if (fstatat(folder, name, &found, 0)) give_up("cannot find", path);
    if (held >= 0 && found.st_ino == told.inode) return;
    if (counts == &uncounted) open_counts(path);
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &found)) give_up("cannot read", path);
    /* As long as the old one is open, no new file can have its inode. */
    if (held >= 0) close(held);
    held = file;
    char text[16384];
    ssize_t bytes = pread(file, text, sizeof text - 1, 0);
    if (bytes < 0 || bytes == sizeof text - 1) give_up("cannot read, or too long", path);
    text[bytes] = '\0';
    memset(&told, 0, sizeof told);
    told.second_us = SECOND_US;
    told.inode = found.st_ino;
    told.devices[0] = USB;
    told.device_count = 1;
    told.runtime = LIBRARY_VERSION;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) read_line(line);
}

/* Counts, and does what kills, hangs or waits; returns what is left to its caller: ERR, WRONG or NO_FAULT. */
static enum kind enter(enum moment moment) {
    look_at_control();
    uint64_t count = __atomic_add_fetch(&counts->entered[moment], 1, __ATOMIC_SEQ_CST);
    const struct fault *fault = told.faults, *end = told.faults + told.fault_count;
    while (fault < end && !(fault->moment == moment &&
                            (fault->every ? count % fault->every == 0 : count == fault->at)))
        fault++;
    if (fault == end) return NO_FAULT;
    switch (fault->kind) {
    case ABORT:
        fprintf(stderr, "F fake_edgetpu.c: transfer failed, as told. Aborting\n");
        abort();
    case HANG:
        for (;;) pause();
    case SEGFAULT:
        raise(SIGSEGV);
        break;
    case EXIT:
        _exit(3);
    case STALL:
        usleep(fault->stall_us);
        return NO_FAULT;
    default:
        break;
    }
    return fault->kind;
}

/* The delegate. */

static void *init(struct context *context, const char *buffer, size_t length) {
    (void)context, (void)length;
    return ((const struct delegate_params *)buffer)->delegate;
}

static Status prepare(struct context *context, struct node *node) {
    if (enter(PREPARE) == ERR) {
        context->report_error(context, "fake_edgetpu: told to fail while preparing. ");
        return ERROR;
    }
    if (told.runtime < LIBRARY_VERSION) {
        context->report_error(context, "fake_edgetpu: the model needs runtime %d, this one is %d. ", LIBRARY_VERSION,
                              told.runtime);
        return ERROR;
    }
    if (node->inputs->size != 1 || node->outputs->size != 1) {
        context->report_error(context, "fake_edgetpu: expected one input and one output. ");
        return ERROR;
    }
    return OK;
}

/* Returns the row's output bytes, or NULL: from the last hit on, because windows come in order. */
static const uint8_t *answer(const struct tensor *input, size_t output_bytes) {
    size_t row_bytes = input->bytes + output_bytes, rows = told.answers_bytes / row_bytes;
    for (size_t i = 0; i < rows; i++) {
        size_t row = (told.last_hit + i) % rows;
        const uint8_t *found = told.answers + row * row_bytes;
        if (memcmp(found, input->data, input->bytes) == 0) {
            told.last_hit = row;
            return found + input->bytes;
        }
    }
    return NULL;
}

static Status invoke(struct context *context, struct node *node) {
    enum kind fault = enter(CALL);
    if (fault == ERR) {
        context->report_error(context, "fake_edgetpu: told to fail at this call. ");
        return ERROR;
    }
    const struct delegate *delegate = node->user_data;
    if (delegate->device >= told.device_count) fail("the device has gone");
    if (told.slow_us) usleep(told.slow_us);
    const struct tensor *input = &context->tensors[node->inputs->data[0]];
    const struct tensor *output = &context->tensors[node->outputs->data[0]];
    const uint8_t *found = answer(input, output->bytes);
    if (!found) {
        context->report_error(context, "fake_edgetpu: no answer to this input of %zu bytes. ", input->bytes);
        return ERROR;
    }
    memcpy(output->data, found, output->bytes);
    if (fault == WRONG) {
        for (size_t i = 0; i < output->bytes; i++) ((uint8_t *)output->data)[i] ^= 0x55;
        return OK;
    }
    __atomic_add_fetch(&counts->answered, 1, __ATOMIC_SEQ_CST);
    return OK;
}

static Status claim(struct context *context, struct delegate *delegate) {
    struct registration ours = {
        .init = init, .prepare = prepare, .invoke = invoke, .custom_name = "FakeEdgeTpuDelegate", .version = 1};
#ifdef OLD_ABI
    memset(ours.beyond_the_end, 0x5a, sizeof ours.beyond_the_end);
#endif
    struct indices *plan;
    if (context->get_execution_plan(context, &plan) != OK) return ERROR;
    struct indices *nodes = calloc(plan->size + 1, sizeof(int));
    Status status = OK;
    for (int i = 0; i < plan->size && status == OK; i++) {
        struct node *node;
        struct registration *found;
        status = context->get_node_and_registration(context, plan->data[i], &node, &found);
        if (status == OK && found->custom_name && strcmp(found->custom_name, "edgetpu-custom-op") == 0)
            nodes->data[nodes->size++] = plan->data[i];
    }
    if (status == OK) status = context->replace_nodes(context, ours, nodes, delegate);
    free(nodes);
    return status;
}

#ifdef NO_PLUGIN
#define tflite_plugin_create_delegate some_other_library_create
#define tflite_plugin_destroy_delegate some_other_library_destroy
#endif

/* The library's own thread, whose transfers fail while nobody calls. It reads the control file by itself: what is told
 * belongs to the threads that call. */
static void *watch(void *unused) {
    (void)unused;
    const char *path = getenv("FAKE_EDGETPU");
    ino_t seen = 0;
    for (;; usleep(WATCH_US)) {
        int delegates = 0;
        for (int i = 0; i < MOST_DEVICES; i++) {
            delegates += had[i].delegates;
            if (had[i].delegates && counts->resets[i] != had[i].resets) fail("another process has reset the port");
        }
        struct stat found;
        if (!delegates || !path) continue;
        const char *name;
        int folder = folder_of(path, &name);
        if (fstatat(folder, name, &found, 0) || found.st_ino == seen) continue;
        int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
        char text[16384];
        ssize_t bytes = file < 0 ? -1 : read(file, text, sizeof text - 1);
        close(file);
        if (bytes < 0) continue;
        text[bytes] = '\0';
        seen = found.st_ino;
        if (strstr(text, "\nabsent\n")) fail("the device has gone");
    }
}

static void start_watch(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, NULL)) give_up("cannot start", "a thread");
}

/* A raw opening, with the library's sleeps and tries. */
static bool raw_open(int device) {
    for (int i = 0; i < OPENINGS; i++) {
        usleep(told.second_us);
        look_at_control();
        if (!told.denied && device < told.device_count) return true;
    }
    return false;
}

static bool open_on_usb(int device) {
    int resets = told.new ? 2 : 1;
    for (int i = 0; i < resets; i++) {
        if (!raw_open(device)) return false;
        had[device].resets = __atomic_add_fetch(&counts->resets[device], 1, __ATOMIC_SEQ_CST);
    }
    return raw_open(device);
}

static bool open_on_pci(int device) {
    const char *control = getenv("FAKE_EDGETPU");
    if (told.denied || !control) return !told.denied;
    char path[4096];
    snprintf(path, sizeof path, "%s.pci", control);
    struct flock whole = {.l_type = F_WRLCK, .l_start = device, .l_len = 1};
    had[device].file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fcntl(had[device].file, F_OFD_SETLK, &whole) == 0) return true;
    close(had[device].file);
    had[device].file = 0;
    return false;
}

static bool open_device(int device) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!had[device].delegates && !(told.devices[device] == USB ? open_on_usb(device) : open_on_pci(device)))
        return false;
    had[device].delegates++;
    pthread_once(&once, start_watch);
    return true;
}

/* Returns the place in the list of a device as in the option "device" ("", ":N", "usb", "usb:N", "pci", "pci:N"), or -1
 * if there is none. */
static int find_device(const char *wanted) {
    const char *colon = strchr(wanted, ':');
    size_t length = colon ? (size_t)(colon - wanted) : strlen(wanted);
    char *end = "";
    long nth = colon ? strtol(colon + 1, &end, 10) : 0;
    if (*end || (colon && (colon[1] < '0' || colon[1] > '9'))) return -1;
    for (int i = 0; i < told.device_count; i++) {
        const char *type = TYPES[told.devices[i]];
        if (length && (length != strlen(type) || strncmp(wanted, type, length))) continue;
        if (nth-- == 0) return i;
    }
    return -1;
}

/* tensorflow/lite/delegates/external/external_delegate_interface.h; the options are those that
 * tflite/edgetpu_delegate_for_custom_op_tflite_plugin.cc of libedgetpu explains. */
struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
    static const char *const KEYS[] = {"device", "Performance", "Usb.AlwaysDfu", "Usb.MaxBulkInQueueLength"};
    const char *wanted = "";
    if (enter(CREATE) == ERR) {
        report("fake_edgetpu: told to fail while creating");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        int key = index_of(keys[i], KEYS, 4);
        if (key < 0) {
            report("fake_edgetpu: no such option: ");
            report(keys[i]);
            return NULL;
        }
        if (key == 0) wanted = values[i];
    }
    int device = find_device(wanted);
    if (device < 0 || !open_device(device)) return NULL;
    struct delegate *delegate = calloc(1, sizeof *delegate);
    delegate->prepare = claim;
    delegate->flags = ALLOW_DYNAMIC_TENSORS;
    delegate->device = device;
    return delegate;
}

/* The runtimes give it NULL after a creation that failed. */
void tflite_plugin_destroy_delegate(struct delegate *delegate) {
    if (delegate && --had[delegate->device].delegates == 0 && had[delegate->device].file)
        close(had[delegate->device].file), had[delegate->device].file = 0;
    free(delegate);
}

struct edgetpu_device *edgetpu_list_devices(size_t *count) {
    look_at_control();
    *count = told.device_count;
    if (told.device_count == 0) return NULL;
    struct edgetpu_device *devices = calloc(told.device_count, sizeof *devices + PATH_BYTES);
    char *paths = (char *)(devices + told.device_count);
    for (int i = 0; i < told.device_count; i++) {
        bool usb = told.devices[i] == USB;
        devices[i].type = told.devices[i];
        devices[i].path = paths + i * PATH_BYTES;
        char *path = paths + i * PATH_BYTES;
        if (!usb) {
            snprintf(path, PATH_BYTES, "/dev/apex_%d", i);
        } else if (told.places[i][0]) {
            snprintf(path, PATH_BYTES, "/sys/bus/usb/devices/%.32s", told.places[i]);
        } else {
            snprintf(path, PATH_BYTES, "/sys/bus/usb/devices/2-%d", i + 1);
        }
    }
    return devices;
}

void edgetpu_free_devices(struct edgetpu_device *devices) {
    free(devices);
}

const char *edgetpu_version(void) {
    static char version[64];
    look_at_control();
    snprintf(version, sizeof version, "BuildLabel(FAKE),RuntimeVersion(%d)", told.runtime);
    return version;
}

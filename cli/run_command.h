// `capbroker run`: a program as it is, with what it was granted and nothing else.
#ifndef CLI_RUN_COMMAND_H_
#define CLI_RUN_COMMAND_H_

#include <string>
#include <vector>

namespace capbroker::cli {

inline constexpr char kRunUsage[] =
    "capbroker run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "  Runs an unmodified program, confined, with its libraries, the standard descriptors, and\n"
    "  what is granted:\n"
    "  --grant file:read:PATH   a file, or a directory with everything beneath\n"
    "  --grant file:write:PATH  the same for writing; in a directory also creating and removing\n"
    "  --grant exec:PATH        a program that it may run itself, or a directory of them\n"
    "  --grant connect:NAME:PORT  TCP to a host; NAME may be a pattern as *.debian.org, PORT may "
    "be *\n"
    "  --grant dns:NAME         its addresses\n"
    "  --grant listen:ADDRESS:PORT  a TCP server there; ADDRESS may be * for all, PORT 0 for one "
    "that\n"
    "                           the system chooses, and * for every one\n"
    "  --grant jit              code that it makes itself in its memory\n"
    "  --env NAME[=VALUE]       one variable of its environment, which is empty otherwise\n"
    "  --bound NAME=NUMBER      wall-seconds, cpu-seconds, memory-mib, descriptors, threads, "
    "file-mib\n"
    "  --cgroup own|PATH        a cgroup (version 2) for it, beneath the one that this command is "
    "in "
    "or\n"
    "                           PATH: then memory, threads and CPU time are bounded for all its\n"
    "                           processes together (docs/programs.md)\n"
    "  --policy FILE            all of these as text (cli/run_policy.proto)\n"
    "  --refuse KIND            what it is told of what is not granted: absent (as if it were not\n"
    "                           there), access (EACCES), capability (ENOTCAPABLE)\n"
    "  --explain                says what was refused, and which grant would allow it\n"
    "  --learn FILE             grants every file that you may use, and writes the policy that "
    "the\n"
    "                           run needed\n"
    "  Exits as the program does: with its status, with 128 and the signal's number if it was "
    "killed.\n"
    "  125: it was not started; 126: it cannot be executed; 127: it was not found.\n";

// The exit status. For a process with a single thread, first thing: it forks the broker.
int RunRun(const std::vector<std::string>& arguments);

}  // namespace capbroker::cli

#endif  // CLI_RUN_COMMAND_H_

// Huge pages for programs that keep much in memory or build it up quickly.
//
// malloc() of glibc asks for them only if it is told so before the program starts, by
// GLIBC_TUNABLES. So the program starts itself again with that in its environment, under the same
// process id, and takes it out again then: it is nothing for a job, nor for the programs it runs.
#pragma once

namespace gangway {

// The first thing in main(), before there are threads or open files. Returns at once if
// GLIBC_TUNABLES is somebody else's, and also if it cannot be done: everything works without,
// only slower.
void use_huge_pages(char** argv);

}  // namespace gangway

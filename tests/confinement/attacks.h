// What a service process that was taken over tries. Each attack is named by a line of text, which
// a caller can send.
//
// Lives in: service processes of tests.
#ifndef TESTS_CONFINEMENT_ATTACKS_H_
#define TESTS_CONFINEMENT_ATTACKS_H_

#include <string>

namespace capbroker::testing {

// Runs "<attack> [argument]"; 0: it has succeeded. Otherwise the errno with which it failed.
int RunAttack(const std::string& line);

}  // namespace capbroker::testing

#endif  // TESTS_CONFINEMENT_ATTACKS_H_

// Early return on error, as in Abseil's own later `status_macros.h`.
//
//   CB_RETURN_IF_ERROR(socket.Send(packet));
//   CB_ASSIGN_OR_RETURN(UniqueFd file, OpenBeneath(root, path));
#ifndef BASE_STATUS_MACROS_H_
#define BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define CB_RETURN_IF_ERROR(expression)                                            \
  do {                                                                            \
    if (absl::Status cb_status = (expression); !cb_status.ok()) return cb_status; \
  } while (false)

#define CB_ASSIGN_OR_RETURN(declaration, expression) \
  CB_ASSIGN_OR_RETURN_1_(CB_CONCAT_(cb_status_or_, __LINE__), declaration, expression)
#define CB_ASSIGN_OR_RETURN_1_(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).status();          \
  declaration = *std::move(result)
#define CB_CONCAT_(a, b) CB_CONCAT_1_(a, b)
#define CB_CONCAT_1_(a, b) a##b

#endif  // BASE_STATUS_MACROS_H_

// Asio as the house uses it: on a concrete executor, without exceptions.
#pragma once

#include <boost/asio.hpp>

namespace penstock {

namespace asio = boost::asio;

// The concrete executor: a type-erased one costs a virtual call an operation (ADR 1).
using Executor = asio::io_context::executor_type;

using TcpAcceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace penstock

// Asio's own code, compiled once (BOOST_ASIO_SEPARATE_COMPILATION), and Boost.JSON's.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/json/src.hpp>

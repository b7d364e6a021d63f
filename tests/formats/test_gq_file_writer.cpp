// .gq files written: the final name appears only when all is well, whatever refuses, dies, competes or fills up.
// In: tensors and sections, folders that refuse, processes that end in the middle. Out: checks of what lies on disk.
// Must not leave files behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "formats/hash.h"
#include "tests/formats/gq_test.h"

using namespace gq;
using namespace gq::test;

TEST_SUITE("formats") {
    TEST_CASE("gq: a writer refuses what a reader would refuse, and goes on") {
        const TemporaryFolder folder;
        const ByteVector values = pattern(8, 0);
        GqWriter writer(folder.path() / "model.gq");
        writer.add_tensor(small_tensor("a", values));
        writer.add_section("model", {});
        const auto refused = [&](const GqTensor& tensor, const char* piece) {
            check_fails([&] { writer.add_tensor(tensor); }, "malformed", {"model.gq", piece});
        };
        refused(small_tensor("a", values), "\"a\" added twice");
        refused(small_tensor("", values), "tensor name");
        refused(small_tensor(std::string(256, 'x'), values), "256 found");
        refused(small_tensor("a\tb", values), "control characters");
        refused({"b", "f32", "", 1, 0, 2, 0, {{"values", values}}}, "rows");
        refused({"b", "f32", "", 1, 1, 2, 0, {{"values", values}, {"values", values}}}, "found twice");
        check_fails([&] { writer.add_section("model", {}); }, "malformed", {"\"model\" added twice"});
        check_fails([&] { writer.add_section("\xFF", {}); }, "malformed", {"section name"});
        writer.add_tensor(small_tensor("b", values));
        writer.finish();
        check_fails([&] { writer.add_tensor(small_tensor("c", values)); }, "malformed", {"finished or failed before"});
        check_fails([&] { writer.finish(); }, "malformed", {"finished or failed before"});
        CHECK(GqFile(folder.path() / "model.gq").tensors().size() == 2);
    }

    TEST_CASE("gq: a meter knows how long a file will be") {
        const TemporaryFolder folder;
        const ByteVector small = pattern(100, 0), page = pattern(65536, 1), odd = pattern(70001, 2);
        GqWriter writer(folder.path() / "model.gq");
        GqMeter meter;
        for (const ByteVector* values : {&small, &page, &odd, &small, &odd, &page}) {
            const GqTensor tensor{.name = "t" + std::to_string(meter.file_bytes()),
                                  .codes = "f32",
                                  .grid = "",
                                  .rows = 1,
                                  .cols = 7,
                                  .parts = {{"values", *values}, {"more", small}}};
            writer.add_tensor(tensor);
            meter.add_tensor(tensor, std::vector<uint64_t>{values->size(), small.size()});
            writer.add_section(tensor.name + "s", *values);
            meter.add_section(tensor.name + "s", values->size());
        }
        writer.finish();
        CHECK(meter.file_bytes() == fs::file_size(folder.path() / "model.gq"));
    }

    TEST_CASE("gq: the final name appears only when all is well") {
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq", partial = folder.path() / "model.gq.partial";
        const ByteVector values = pattern(100000, 0);
        {
            GqWriter writer(path);
            writer.add_tensor(small_tensor("a", values));
            CHECK(fs::exists(partial));
            CHECK_FALSE(fs::exists(path));
        }
        CHECK_FALSE(fs::exists(partial));
        CHECK_FALSE(fs::exists(path));

        write_file(path, bytes_of("an older file"));
        {
            GqWriter writer(path);
            writer.add_tensor(small_tensor("a", values));
        }
        CHECK(equal(read_file(path), bytes_of("an older file")));
        {
            GqWriter writer(path);
            writer.add_tensor(small_tensor("a", values));
            writer.finish();
        }
        CHECK_FALSE(fs::exists(partial));
        GqFile(path).verify();
    }

    TEST_CASE("gq: a killed writer leaves no final name, and the next one replaces its remains") {
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq", partial = folder.path() / "model.gq.partial";
        const ByteVector values = pattern(200000, 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            GqWriter writer(path);
            writer.add_tensor(small_tensor("a", values));
            ::_exit(0);  // without a destructor, as a kill does
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        CHECK_FALSE(fs::exists(path));
        REQUIRE(fs::exists(partial));
        check_fails([&] { GqFile file(partial); }, "malformed", {"never finished"});
        Example().write(path);
        CHECK_FALSE(fs::exists(partial));
        CHECK(xxh64(read_file(path)) == example_hash);
    }

    TEST_CASE("gq: a second writer is refused and harms nothing") {
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq", partial = folder.path() / "model.gq.partial";
        const ByteVector values = pattern(1000, 0);
        GqWriter first(path);
        first.add_tensor(small_tensor("a", values));
        check_fails([&] { GqWriter second(path); }, "io", {partial.c_str(), "another writer"});
        CHECK(fs::exists(partial));
        first.add_tensor(small_tensor("b", values));
        first.finish();
        GqFile(path).verify();
        GqWriter third(path);
        third.finish();
        CHECK(GqFile(path).tensors().empty());
    }

    TEST_CASE("gq: targets that can't be written are refused before any work") {
        const TemporaryFolder folder;
        fs::create_directory(folder.path() / "folder.gq");
        write_file(folder.path() / "plain", bytes_of("x"));
        check_fails([&] { GqWriter writer(folder.path() / "folder.gq"); }, "io", {"folder.gq", "a folder found"});
        check_fails([&] { GqWriter writer(folder.path() / ""); }, "io", {"a folder found"});
        check_fails([&] { GqWriter writer(folder.path() / "absent/model.gq"); }, "io",
                    {(folder.path() / "absent").c_str(), "existing folder expected", "nothing found"});
        check_fails([&] { GqWriter writer(folder.path() / "plain/model.gq"); }, "io",
                    {"plain", "existing folder expected"});
        check_fails([&] { GqWriter writer("/dev/null"); }, "io", {"/dev/null", "regular file"});
        fs::create_directory(folder.path() / "model.gq.partial");
        check_fails([&] { GqWriter writer(folder.path() / "model.gq"); }, "io", {"model.gq.partial", "Is a directory"});
        fs::create_symlink(folder.path() / "plain", folder.path() / "link.gq.partial");
        check_fails([&] { GqWriter writer(folder.path() / "link.gq"); }, "io", {"link.gq.partial", "symbolic links"});
        CHECK(equal(read_file(folder.path() / "plain"), bytes_of("x")));
        REQUIRE(::mkfifo((folder.path() / "pipe.gq.partial").c_str(), 0600) == 0);
        check_fails([&] { GqWriter writer(folder.path() / "pipe.gq"); }, "io", {"pipe.gq.partial", "regular file"});
        CHECK(fs::exists(folder.path() / "pipe.gq.partial"));  // nothing that a writer left
        CHECK_THROWS_AS(GqFile(folder.path() / "absent.gq"), FormatError);
    }

    TEST_CASE("gq: a link stays, and the file it leads to is written, be it there already or not") {
        const TemporaryFolder folder;
        fs::create_directory(folder.path() / "models");
        const fs::path link = folder.path() / "link.gq", file = folder.path() / "models" / "real.gq";
        const fs::path first = folder.path() / "first.gq", partial = folder.path() / "models" / "real.gq.partial";
        fs::create_symlink("models/real.gq", link);
        fs::create_symlink(link, first);
        for (const fs::path& name : {link, first, link}) {  // to nothing at first, by two links, to a file
            {
                GqWriter writer(name);
                CHECK(fs::exists(partial));
                CHECK_FALSE(fs::exists(fs::symlink_status(name.string() + ".partial")));
                check_fails([&] { GqWriter second(file); }, "io", {partial.c_str(), "another writer"});
            }
            CHECK_FALSE(fs::exists(partial));
            Example().write(name);
            CHECK(fs::is_symlink(fs::symlink_status(name)));
            REQUIRE(fs::is_regular_file(fs::symlink_status(file)));
            CHECK(xxh64(read_file(file)) == example_hash);
            if (name == first) write_file(file, bytes_of("an older file"));
        }
    }

    TEST_CASE("gq: what the system's links to open files lead to is written only where it has a name") {
        const TemporaryFolder folder;
        const fs::path file = folder.path() / "open.gq";
        const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(fd >= 0);
        const fs::path link = "/proc/self/fd/" + std::to_string(fd);  // as /dev/stdout is one
        Example().write(link);
        CHECK(xxh64(read_file(file)) == example_hash);
        // The descriptor is still that of the file which was replaced, and that has no name any more.
        check_fails([&] { GqWriter writer(link); }, "io",
                    {link.c_str(), "a file with a name expected", "removed found"});
        ::close(fd);
        int pipe[2];
        REQUIRE(::pipe(pipe) == 0);
        const fs::path end = "/proc/self/fd/" + std::to_string(pipe[1]);
        check_fails([&] { GqWriter writer(end); }, "io", {end.c_str(), "regular file", "pipe or socket found"});
        for (const int each : pipe) ::close(each);
    }

    TEST_CASE("gq: links to what can't be written are refused before any work, and stay") {
        const TemporaryFolder folder;
        const fs::path link = folder.path() / "link.gq";
        fs::create_directory(folder.path() / "folder");
        REQUIRE(::mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
        const auto refused = [&](const char* to, const char* found) {
            fs::create_symlink(to, link);
            check_fails([&] { GqWriter writer(link); }, "io", {link.c_str(), to, found});
            CHECK(fs::read_symlink(link) == to);
            fs::remove(link);
        };
        refused("folder", "a folder found");
        refused("absent/", "a folder found");
        refused("pipe", "a device, pipe or socket found");
        refused("absent/model.gq", "nothing found");
        refused("link.gq", "more than 40 links found");
        CHECK(fs::is_fifo(folder.path() / "pipe"));
    }

    TEST_CASE("gq: a full disk is an error that says how much was needed, and leaves nothing") {
        // A limit on file sizes fails as a full disk does, first in part and then wholly, with another number.
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq";
        const ByteVector values = pattern(300000, 0);
        rlimit before{};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
        const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
        {
            GqWriter writer(path);
            writer.add_tensor(small_tensor("a", values));
            const rlimit small{400000, before.rlim_max};
            REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
            check_fails([&] { writer.add_tensor(small_tensor("b", values)); }, "io",
                        {"model.gq.partial", "at byte 400000", "File too large", "more bytes needed"});
            CHECK_FALSE(fs::exists(folder.path() / "model.gq.partial"));
            check_fails([&] { writer.finish(); }, "malformed", {"failed before"});
        }
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
        std::signal(SIGXFSZ, old_handler);
        CHECK(fs::is_empty(folder.path()));
    }
}

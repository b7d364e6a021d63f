// Python's arithmetic, comparison and hashing. See jinja_operators.h.
// In: two values and an operator's row. Out: a value, or Error naming the types, also where 64 bits overflow.
// Must not know syntax or scopes.
#include "core/text/jinja_operators.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/text/jinja_text.h"

namespace gq::jinja {

namespace {

// What a member of a dict costs beyond its key: two values and the nodes of the index.
constexpr size_t kMemberBytes = 160;
constexpr double kTwoTo63 = 9223372036854775808.0;

[[noreturn]] void fail_operands(const Runtime& runtime, const char* symbol, const Value& left, const Value& right) {
    if (left.is_undefined()) runtime.fail_undefined(left);
    if (right.is_undefined()) runtime.fail_undefined(right);
    runtime.fail("unsupported operand types for %s: '%s' and '%s'", symbol, left.type_name(), right.type_name());
}

// Both as int64 or both as double; whichever operation fits is called.
template <class OnWhole, class OnNumber>
Value arithmetic(Runtime& runtime, const char* symbol, const Value& left, const Value& right, OnWhole on_whole,
                 OnNumber on_number) {
    if (!left.is_numeric() || !right.is_numeric()) fail_operands(runtime, symbol, left, right);
    if (left.is_whole() && right.is_whole()) return on_whole(left.whole(), right.whole());
    return Value(static_cast<double>(on_number(left.number(), right.number())));
}

int64_t fitting(const Runtime& runtime, bool overflowed, int64_t value) {
    if (overflowed) runtime.fail("an integer does not fit into 64 bits");
    return value;
}

Value repeated(Runtime& runtime, const Value& what, int64_t count) {
    const size_t times = count > 0 ? static_cast<size_t>(count) : 0;
    if (what.is_string()) {
        TextBuilder out(runtime);
        out.repeat(what.string(), times);
        return out.value();
    }
    const Values& items = what.sequence()->items;
    if (!items.empty() && times > runtime.limits().work_bytes / (items.size() * sizeof(Value))) {
        runtime.fail("a list of %zu items cannot be repeated %zu times", items.size(), times);
    }
    runtime.charge(items.size() * times * sizeof(Value));
    Values out;
    out.reserve(items.size() * times);
    for (size_t i = 0; !items.empty() && i < times; ++i) out.insert(out.end(), items.begin(), items.end());
    return runtime.sequence(what.sequence()->form, std::move(out));
}

bool is_repeatable(const Value& value) {
    return value.is_string() || (value.is_sequence() && (value.sequence()->form == Sequence::Form::list ||
                                                         value.sequence()->form == Sequence::Form::tuple));
}

Value subtracted(Runtime& runtime, const Value& left, const Value& right) {
    return arithmetic(
        runtime, "-", left, right,
        [&](int64_t a, int64_t b) {
            int64_t result = 0;
            const bool overflowed = __builtin_sub_overflow(a, b, &result);
            return Value(fitting(runtime, overflowed, result));
        },
        [](double a, double b) { return a - b; });
}

Value multiplied(Runtime& runtime, const Value& left, const Value& right) {
    if (is_repeatable(left) && right.is_whole()) return repeated(runtime, left, right.whole());
    if (is_repeatable(right) && left.is_whole()) return repeated(runtime, right, left.whole());
    return arithmetic(
        runtime, "*", left, right,
        [&](int64_t a, int64_t b) {
            int64_t result = 0;
            const bool overflowed = __builtin_mul_overflow(a, b, &result);
            return Value(fitting(runtime, overflowed, result));
        },
        [](double a, double b) { return a * b; });
}

void refuse_zero(const Runtime& runtime, const Value& divisor) {
    if (divisor.is_numeric() && divisor.number() == 0) runtime.fail("division by zero");
}

Value divided(Runtime& runtime, const Value& left, const Value& right) {
    if (left.is_numeric()) refuse_zero(runtime, right);
    const auto quotient = [](auto a, auto b) { return Value(static_cast<double>(a) / static_cast<double>(b)); };
    return arithmetic(runtime, "/", left, right, quotient, [](double a, double b) { return a / b; });
}

struct FloorDivision {
    double quotient, remainder;
};

// The remainder takes the divisor's sign (Python's float.__divmod__).
FloorDivision floor_divide(double a, double b) {
    double remainder = std::fmod(a, b);
    double quotient = (a - remainder) / b;
    if (remainder != 0 && (b < 0) != (remainder < 0)) {
        remainder += b;
        quotient -= 1;
    }
    const double floored = std::floor(quotient);
    return {quotient - floored > 0.5 ? floored + 1 : floored, remainder == 0 ? std::copysign(0.0, b) : remainder};
}

Value floor_divided(Runtime& runtime, const Value& left, const Value& right) {
    if (left.is_numeric()) refuse_zero(runtime, right);
    return arithmetic(
        runtime, "//", left, right,
        [&](int64_t a, int64_t b) {
            const int64_t whole = fitting(runtime, a == std::numeric_limits<int64_t>::min() && b == -1, 0);
            if (b == -1) return Value(whole - a);
            return Value(a / b - (a % b != 0 && (a % b < 0) != (b < 0)));
        },
        [](double a, double b) { return floor_divide(a, b).quotient; });
}

Value modulo(Runtime& runtime, const Value& left, const Value& right) {
    if (left.is_string()) {
        template_error(Status::unsupported, runtime.line(), "formatting a string with %% is not supported");
    }
    if (left.is_numeric()) refuse_zero(runtime, right);
    return arithmetic(
        runtime, "%", left, right,
        [](int64_t a, int64_t b) {
            const int64_t remainder = b == -1 ? 0 : a % b;
            return Value(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder);
        },
        [](double a, double b) { return floor_divide(a, b).remainder; });
}

double real_power(const Runtime& runtime, double base, double exponent) {
    if (base == 0 && exponent < 0) runtime.fail("0 cannot be raised to a negative power");
    const double result = std::pow(base, exponent);
    if (std::isnan(result) && !std::isnan(base) && !std::isnan(exponent)) runtime.fail("the power is a complex number");
    if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent)) runtime.fail("the power is too large");
    return result;
}

Value whole_power(const Runtime& runtime, int64_t base, int64_t exponent) {
    if (exponent < 0) return Value(real_power(runtime, static_cast<double>(base), static_cast<double>(exponent)));
    int64_t result = 1;
    bool overflowed = false;
    while (exponent > 0) {
        if (exponent & 1) fitting(runtime, overflowed || __builtin_mul_overflow(result, base, &result), 0);
        exponent >>= 1;
        overflowed = __builtin_mul_overflow(base, base, &base) || overflowed;
    }
    return Value(result);
}

Value powered(Runtime& runtime, const Value& left, const Value& right) {
    return arithmetic(
        runtime, "**", left, right, [&](int64_t a, int64_t b) { return whole_power(runtime, a, b); },
        [&](double a, double b) { return real_power(runtime, a, b); });
}

constexpr BinaryOperator kBinaryOperators[] = {
    {"+", Level::sum, added},       {"-", Level::sum, subtracted}, {"*", Level::product, multiplied},
    {"/", Level::product, divided}, {"%", Level::product, modulo}, {"//", Level::product, floor_divided},
    {"**", Level::power, powered},
};

constexpr Comparison kComparisons[] = {
    {"==", [](Runtime& r, const Value& a, const Value& b) { return equal(r, a, b); }},
    {"!=", [](Runtime& r, const Value& a, const Value& b) { return !equal(r, a, b); }},
    {"<", [](Runtime& r, const Value& a, const Value& b) { return order(r, a, b, "<") < 0; }},
    {"<=", [](Runtime& r, const Value& a, const Value& b) { return order(r, a, b, "<=") <= 0; }},
    {">", [](Runtime& r, const Value& a, const Value& b) { return order(r, a, b, ">") > 0; }},
    {">=", [](Runtime& r, const Value& a, const Value& b) { return order(r, a, b, ">=") >= 0; }},
    {"in", [](Runtime& r, const Value& a, const Value& b) { return contains(r, b, a); }},
    {"not in", [](Runtime& r, const Value& a, const Value& b) { return !contains(r, b, a); }},
};

// Exact, where converting the integer to double would round it.
std::partial_ordering order_mixed(int64_t whole, double number) {
    if (std::isnan(number)) return std::partial_ordering::unordered;
    if (number >= kTwoTo63) return std::partial_ordering::less;
    if (number < -kTwoTo63) return std::partial_ordering::greater;
    const auto truncated = static_cast<int64_t>(number);
    if (whole != truncated) return whole <=> truncated;
    return 0.0 <=> number - static_cast<double>(truncated);
}

std::partial_ordering order_numbers(const Value& left, const Value& right) {
    if (left.is_whole() && right.is_whole()) return left.whole() <=> right.whole();
    if (left.is_whole()) return order_mixed(left.whole(), right.number());
    if (right.is_whole()) return 0 <=> order_mixed(right.whole(), left.number());
    return left.number() <=> right.number();
}

bool equal_members(Runtime& runtime, const Dict& left, const Dict& right) {
    if (left.members.size() != right.members.size()) return false;
    return std::all_of(left.index.begin(), left.index.end(), [&](const auto& entry) {
        const Value* other = right.find_key(entry.first);
        return other != nullptr && equal(runtime, left.members[entry.second].second, *other);
    });
}

bool equal_items(Runtime& runtime, const Sequence& left, const Sequence& right) {
    return left.form == right.form &&
           std::equal(left.items.begin(), left.items.end(), right.items.begin(), right.items.end(),
                      [&](const Value& a, const Value& b) { return equal(runtime, a, b); });
}

void append_key(Runtime& runtime, const Value& key, TextBuilder& out) {
    runtime.step();
    if (key.is_string()) {
        (out += 's') += key.string();
    } else if (key.is_undefined() || key.is_none()) {
        out += key.is_none() ? 'n' : 'u';
    } else if (key.is_whole() || (key.is(Value::Kind::number) && key.number() == std::floor(key.number()) &&
                                  std::abs(key.number()) < kTwoTo63)) {
        const int64_t whole = key.is_whole() ? key.whole() : static_cast<int64_t>(key.number());
        (out += 'i') += std::to_string(whole);
    } else if (key.is(Value::Kind::number)) {
        (out += 'f') += std::to_string(std::bit_cast<uint64_t>(key.number()));
    } else if (key.is_sequence() && key.sequence()->form == Sequence::Form::tuple) {
        out += 't';
        for (const Value& item : key.sequence()->items) {
            const std::string part = dict_key(runtime, item);
            (out += std::to_string(part.size())) += ':';
            out += part;
        }
    } else {
        runtime.fail("unhashable type: '%s'", key.type_name());
    }
}

}  // namespace

const BinaryOperator* find_binary_operator(std::string_view symbol, Level level) {
    const auto* found = std::find_if(std::begin(kBinaryOperators), std::end(kBinaryOperators),
                                     [&](const auto& row) { return row.symbol == symbol && row.level == level; });
    return found == std::end(kBinaryOperators) ? nullptr : found;
}

const Comparison* find_comparison(std::string_view symbol) {
    const auto* found = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                     [&](const auto& row) { return row.symbol == symbol; });
    return found == std::end(kComparisons) ? nullptr : found;
}

Value negated(Runtime& runtime, const Value& value) {
    if (value.is(Value::Kind::number)) return Value(-value.number());
    return subtracted(runtime, Value(int64_t{0}), value);
}

Value added(Runtime& runtime, const Value& left, const Value& right) {
    if (left.is_string() && right.is_string()) {
        TextBuilder out(runtime);
        (out += left.string()) += right.string();
        return out.value();
    }
    if (is_repeatable(left) && is_repeatable(right) && !left.is_string() && !right.is_string() &&
        left.sequence()->form == right.sequence()->form) {
        runtime.charge((left.sequence()->items.size() + right.sequence()->items.size()) * sizeof(Value));
        Values items = left.sequence()->items;
        items.insert(items.end(), right.sequence()->items.begin(), right.sequence()->items.end());
        return runtime.sequence(left.sequence()->form, std::move(items));
    }
    return arithmetic(
        runtime, "+", left, right,
        [&](int64_t a, int64_t b) {
            int64_t result = 0;
            const bool overflowed = __builtin_add_overflow(a, b, &result);
            return Value(fitting(runtime, overflowed, result));
        },
        [](double a, double b) { return a + b; });
}

bool equal(Runtime& runtime, const Value& left, const Value& right) {
    runtime.step();
    if (left.is_numeric() && right.is_numeric()) return order_numbers(left, right) == 0;
    if (left.kind() != right.kind()) return false;
    if (left.is_undefined()) return true;
    if (left.is_string()) {
        if (left.string().size() == right.string().size()) runtime.look_at(left.string());
        return left.string() == right.string();
    }
    if (left.same_object(right)) return true;
    if (left.is_sequence()) return equal_items(runtime, *left.sequence(), *right.sequence());
    return left.is_dict() && equal_members(runtime, left.dict(), right.dict());
}

std::partial_ordering order(Runtime& runtime, const Value& left, const Value& right, const char* symbol) {
    runtime.step();
    if (left.is_numeric() && right.is_numeric()) return order_numbers(left, right);
    if (left.is_string() && right.is_string()) {
        runtime.look_at(std::min(left.string(), right.string()));
        return left.string() <=> right.string();
    }
    const bool comparable = is_repeatable(left) && is_repeatable(right) && left.kind() == right.kind() &&
                            left.sequence()->form == right.sequence()->form;
    if (!comparable) {
        if (left.is_undefined()) runtime.fail_undefined(left);
        if (right.is_undefined()) runtime.fail_undefined(right);
        runtime.fail("'%s' has no order between '%s' and '%s'", symbol, left.type_name(), right.type_name());
    }
    const Values &a = left.sequence()->items, &b = right.sequence()->items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        if (!equal(runtime, a[i], b[i])) return order(runtime, a[i], b[i], symbol);
    }
    return a.size() <=> b.size();
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
    if (container.is_string()) {
        if (!item.is_string()) runtime.fail("'in' a string requires a string, found '%s'", item.type_name());
        runtime.look_at(container.string());
        return Search(item.string()).find(container.string()) != std::string_view::npos;
    }
    if (container.is_dict()) return container.dict().find_key(dict_key(runtime, item)) != nullptr;
    const auto is_item = [&](const Value& candidate) { return equal(runtime, candidate, item); };
    if (container.is_sequence()) {
        return std::any_of(container.sequence()->items.begin(), container.sequence()->items.end(), is_item);
    }
    if (container.is(Value::Kind::iterator)) {
        Iterator& rest = container.iterator();
        while (rest.next < rest.items.size()) {
            if (is_item(rest.items[rest.next++])) return true;
        }
        return false;
    }
    if (container.is_undefined()) return false;
    runtime.fail("'in' needs a string or a container on its right, found '%s'", container.type_name());
}

bool is_hashable(Runtime& runtime, const Value& key) {
    runtime.step();
    if (!key.is_sequence()) return !key.is_dict() && key.depth() == 0;
    const Sequence& sequence = *key.sequence();
    return sequence.form == Sequence::Form::tuple &&
           std::all_of(sequence.items.begin(), sequence.items.end(),
                       [&](const Value& item) { return is_hashable(runtime, item); });
}

std::string dict_key(Runtime& runtime, const Value& key) {
    TextBuilder out(runtime);
    append_key(runtime, key, out);
    return out.take();
}

void insert(Runtime& runtime, Dict& dict, const Value& key, Value value) {
    runtime.charge(kMemberBytes);
    const auto [place, is_new] = dict.index.try_emplace(dict_key(runtime, key), dict.members.size());
    if (is_new) {
        dict.members.emplace_back(key, std::move(value));
    } else {
        dict.members[place->second].second = std::move(value);
    }
}

}  // namespace gq::jinja
